//! Why a workbook is not edited.

/// Why a workbook is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is protected by a password.
    #[error("the workbook is encrypted with a password")]
    Encrypted,
    /// An edit would break its digital signature.
    #[error("the workbook is digitally signed")]
    Signed,
    /// It was saved as `Strict Open XML`.
    #[error("the workbook is saved as Strict Open XML; save it as a normal Excel workbook")]
    Strict,
    /// It is a package of another kind: with macros, a template, a binary workbook.
    #[error("the file is no plain workbook: {kind}")]
    OtherKind {
        /// What it says to be.
        kind: String,
    },
    /// It cannot be read.
    #[error("the workbook is damaged: {detail}")]
    Damaged {
        /// Where and how.
        detail: String,
    },
    /// Somebody has it open.
    #[error("the workbook is open in another program")]
    OpenElsewhere,
    /// It is larger than what is opened.
    #[error("the workbook is too large")]
    TooLarge,
    /// It holds a tab that is not part of a report, which writing it anew would lose.
    #[error("the workbook has a tab {name:?} that is no part of this report")]
    OtherTab {
        /// The first such tab.
        name: String,
    },
    /// Tabs of our names are taken by the user's own.
    #[error("all tabs named {name:?} are the user's own")]
    NoFreeTab {
        /// The name wanted.
        name: &'static str,
    },
}

impl Refusal {
    /// A refusal for something that no workbook has.
    pub(super) fn damaged(detail: impl Into<String>) -> Self {
        Self::Damaged {
            detail: detail.into(),
        }
    }
}
