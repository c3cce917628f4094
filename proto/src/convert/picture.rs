//! `picture.proto`.

use crate::model::id::JobId;
use crate::model::picture::{
    CHUNK, ListPictures, PICTURE_MAX, PictureChunk, PictureDigest, PictureState, PictureView,
    ReadPicture,
};
use crate::wire::v1;

use super::field::{BadField, all_parsed, optional_uuid, parsed, required, texts};

/// Reads a digest.
fn digest(bytes: &[u8]) -> Result<PictureDigest, BadField> {
    bytes
        .try_into()
        .map(PictureDigest)
        .map_err(|_| BadField::new("sha256", "not 32 bytes"))
}

impl TryFrom<v1::PictureChunk> for PictureChunk {
    type Error = BadField;

    fn try_from(wire: v1::PictureChunk) -> Result<Self, BadField> {
        if wire.size == 0 || wire.size > PICTURE_MAX {
            let reason = format!("{} is not 1..{PICTURE_MAX}", wire.size);
            return Err(BadField::new("size", reason));
        }
        if wire.offset >= wire.size || !wire.offset.is_multiple_of(CHUNK) {
            return Err(BadField::new("offset", format!("{}", wire.offset)));
        }
        let length = u64::try_from(wire.data.len()).unwrap_or(u64::MAX);
        if length != Self::length_at(wire.size, wire.offset) {
            return Err(BadField::new("data", format!("{length} bytes")));
        }
        Ok(Self {
            digest: digest(&wire.sha256)?,
            size: wire.size,
            offset: wire.offset,
            data: wire.data,
        })
    }
}

impl From<PictureChunk> for v1::PictureChunk {
    fn from(model: PictureChunk) -> Self {
        Self {
            sha256: model.digest.0.to_vec(),
            size: model.size,
            offset: model.offset,
            data: model.data,
        }
    }
}

impl TryFrom<v1::PictureState> for PictureState {
    type Error = BadField;

    fn try_from(wire: v1::PictureState) -> Result<Self, BadField> {
        Ok(Self {
            digest: digest(&wire.sha256)?,
            have: wire.have,
            stored: wire.stored,
        })
    }
}

impl From<PictureState> for v1::PictureState {
    fn from(model: PictureState) -> Self {
        Self {
            sha256: model.digest.0.to_vec(),
            have: model.have,
            stored: model.stored,
        }
    }
}

impl v1::AskPictures {
    /// The pictures that are asked about.
    ///
    /// # Errors
    ///
    /// `message.invalid`.
    pub fn digests(&self) -> Result<Vec<PictureDigest>, BadField> {
        self.sha256.iter().map(|bytes| digest(bytes)).collect()
    }

    /// The pictures that will not come.
    ///
    /// # Errors
    ///
    /// `message.invalid`.
    pub fn dropped_digests(&self) -> Result<Vec<PictureDigest>, BadField> {
        self.dropped.iter().map(|bytes| digest(bytes)).collect()
    }
}

impl TryFrom<v1::ListPictures> for ListPictures {
    type Error = BadField;

    fn try_from(wire: v1::ListPictures) -> Result<Self, BadField> {
        Ok(Self {
            tenants: all_parsed("tenants", &wire.tenants)?,
            sites: all_parsed("sites", &wire.sites)?,
            device: wire.device,
            job: optional_uuid("job", &wire.job)?.map(JobId::new),
            newest: wire.newest,
            cursor: wire.cursor,
            limit: wire.limit,
        })
    }
}

impl From<ListPictures> for v1::ListPictures {
    fn from(model: ListPictures) -> Self {
        Self {
            tenants: texts(&model.tenants),
            sites: texts(&model.sites),
            device: model.device,
            job: bytes_of(model.job),
            newest: model.newest,
            cursor: model.cursor,
            limit: model.limit,
        }
    }
}

fn bytes_of(job: Option<JobId>) -> Vec<u8> {
    job.map(|job| job.uuid().as_bytes().to_vec())
        .unwrap_or_default()
}

impl TryFrom<v1::PictureView> for PictureView {
    type Error = BadField;

    fn try_from(wire: v1::PictureView) -> Result<Self, BadField> {
        Ok(Self {
            id: wire.id,
            site: parsed("site", &wire.site)?,
            device_id: wire.device_id,
            address: wire.address,
            hostname: wire.hostname,
            job: optional_uuid("job", &wire.job)?.map(JobId::new),
            picture: required("picture", wire.picture)?.into(),
            stored: wire.stored,
        })
    }
}

impl From<PictureView> for v1::PictureView {
    fn from(model: PictureView) -> Self {
        Self {
            id: model.id,
            site: model.site.to_string(),
            device_id: model.device_id,
            address: model.address,
            hostname: model.hostname,
            job: bytes_of(model.job),
            picture: Some(model.picture.into()),
            stored: model.stored,
        }
    }
}

impl From<v1::ReadPicture> for ReadPicture {
    fn from(wire: v1::ReadPicture) -> Self {
        Self {
            id: wire.id,
            offset: wire.offset,
        }
    }
}

impl From<ReadPicture> for v1::ReadPicture {
    fn from(model: ReadPicture) -> Self {
        Self {
            id: model.id,
            offset: model.offset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::answer::PictureTaken;

    #[test]
    fn pictures_survive_the_trip() {
        let view = PictureView {
            id: 7,
            site: "acme/depot-1".parse().unwrap(),
            device_id: "sn:1".into(),
            address: "10.0.0.5:6036".into(),
            hostname: "nvr-1".into(),
            job: Some(JobId::new(uuid::Uuid::from_u128(5))),
            picture: PictureTaken {
                channel: Some(3),
                flags: vec!["black".into()],
                ..PictureTaken::default()
            },
            stored: true,
        };
        let wire = v1::PictureView::from(view.clone());
        assert_eq!(PictureView::try_from(wire).unwrap(), view);
        let list = ListPictures {
            device: "sn:1".into(),
            newest: true,
            limit: 3,
            ..ListPictures::default()
        };
        let wire = v1::ListPictures::from(list.clone());
        assert_eq!(ListPictures::try_from(wire).unwrap(), list);
    }

    #[test]
    fn chunks_fit_their_picture() {
        let whole = PictureChunk {
            digest: PictureDigest([1; 32]),
            size: CHUNK + 3,
            offset: CHUNK,
            data: vec![1, 2, 3],
        };
        let wire = v1::PictureChunk::from(whole.clone());
        assert_eq!(PictureChunk::try_from(wire.clone()), Ok(whole));
        let wrong = [
            v1::PictureChunk {
                size: 0,
                ..wire.clone()
            },
            v1::PictureChunk {
                size: PICTURE_MAX + 1,
                ..wire.clone()
            },
            v1::PictureChunk {
                size: CHUNK,
                ..wire.clone()
            },
            v1::PictureChunk {
                offset: 1,
                ..wire.clone()
            },
            v1::PictureChunk {
                data: vec![0; 4],
                ..wire.clone()
            },
            v1::PictureChunk {
                sha256: vec![0; 31],
                ..wire
            },
        ];
        for chunk in wrong {
            let field = chunk.clone();
            assert!(PictureChunk::try_from(chunk).is_err(), "{field:?}");
        }
    }
}
