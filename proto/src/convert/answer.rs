//! `answer.proto`: records move field by field, as they are listed once for both sides.

use crate::model::answer;
use crate::model::answer::Answer;
use crate::wire::v1;

macro_rules! convert {
    ($( $(#[doc = $doc:literal])+ $variant:ident / $column:ident: $record:ident, $list:ident {
        $( $(#[doc = $field_doc:literal])+ $field:ident: $kind:ty, )+
    } )+) => {
        /// An answer of a kind that a newer program knows is none here.
        pub(super) fn read_answer(wire: v1::Answer) -> Option<Answer> {
            Some(match wire.kind? {
                $( v1::answer::Kind::$variant(list) => {
                    Answer::$variant(list.rows.into_iter().map(answer::$record::from).collect())
                } )+
            })
        }

        impl From<Answer> for v1::Answer {
            fn from(model: Answer) -> Self {
                let kind = match model {
                    $( Answer::$variant(records) => {
                        let rows = records.into_iter().map(v1::$record::from).collect();
                        v1::answer::Kind::$variant(v1::$list { rows })
                    } )+
                };
                Self { kind: Some(kind) }
            }
        }

        $(
            impl From<v1::$record> for answer::$record {
                fn from(wire: v1::$record) -> Self {
                    Self { $( $field: wire.$field, )+ }
                }
            }

            impl From<answer::$record> for v1::$record {
                fn from(model: answer::$record) -> Self {
                    Self { $( $field: model.$field, )+ }
                }
            }
        )+
    };
}
answer::answer_records!(convert);

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    macro_rules! samples {
        ($( $(#[doc = $doc:literal])+ $variant:ident / $column:ident: $record:ident, $list:ident {
            $( $(#[doc = $field_doc:literal])+ $field:ident: $kind:ty, )+
        } )+) => {
            /// Every kind, each with nothing known and with everything known.
            fn samples() -> Vec<Answer> {
                vec![$( Answer::$variant(vec![
                    answer::$record::default(),
                    answer::$record { $( $field: Sample::sample(stringify!($field)), )+ },
                ]), )+]
            }
        };
    }
    answer::answer_records!(samples);

    trait Sample {
        fn sample(name: &str) -> Self;
    }
    impl Sample for Option<String> {
        fn sample(name: &str) -> Self {
            Some(name.to_owned())
        }
    }
    impl Sample for Vec<String> {
        fn sample(name: &str) -> Self {
            vec![name.to_owned(), String::new()]
        }
    }
    impl Sample for Option<bool> {
        fn sample(_: &str) -> Self {
            Some(false)
        }
    }
    impl Sample for Option<u32> {
        fn sample(name: &str) -> Self {
            u32::try_from(name.len()).ok()
        }
    }
    impl Sample for Option<u64> {
        fn sample(_: &str) -> Self {
            Some(0)
        }
    }
    impl Sample for Option<i64> {
        fn sample(_: &str) -> Self {
            Some(-1)
        }
    }

    #[test]
    fn every_answer_survives_the_wire() {
        for answer in samples() {
            let bytes = v1::Answer::from(answer.clone()).encode_to_vec();
            let back = read_answer(v1::Answer::decode(&*bytes).unwrap());
            assert_eq!(back, Some(answer));
        }
    }

    #[test]
    fn an_answer_of_a_newer_program_is_none() {
        let unknown = v1::Answer::decode(&[0xFA, 0x07, 0x00][..]).unwrap();
        assert_eq!(read_answer(unknown), None);
    }
}
