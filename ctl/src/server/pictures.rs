//! Pictures at the coordinator.

use sha2::{Digest as _, Sha256};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::Page;
use tvtfleet_proto::model::picture::{
    ListPictures, PART, PICTURE_MAX, PictureDigest, PictureView, ReadPicture,
};
use tvtfleet_proto::subject::ApiOp;
use tvtfleet_proto::wire::v1;

use super::{Server, next_cursor};
use crate::error::CliError;

impl Server {
    /// Lists all pictures that `request` asks for, whatever its cursor says.
    pub(crate) async fn pictures(
        &self,
        mut request: ListPictures,
    ) -> Result<Vec<PictureView>, CliError> {
        let mut rows = Vec::new();
        request.cursor.clear();
        loop {
            let list: v1::PicturePage = self
                .call::<v1::ListPictures, _>(ApiOp::PictureList, request.clone())
                .await?;
            let page = Page {
                rows: self.convert_all::<_, PictureView>(list.rows)?,
                next: list.next,
            };
            rows.extend(page.rows);
            match next_cursor(page.next, &request.cursor)? {
                Some(next) => request.cursor = next,
                None => return Ok(rows),
            }
        }
    }

    /// Reads a picture, part by part: a part that got lost is asked for again, and not the whole.
    ///
    /// # Errors
    ///
    /// `picture.damaged` where it is not what its digest says; the coordinator cannot be asked.
    pub(crate) async fn picture(&self, view: &PictureView) -> Result<Vec<u8>, CliError> {
        let mut bytes: Vec<u8> = Vec::new();
        loop {
            let offset = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let request = ReadPicture {
                id: view.id,
                offset,
            };
            let part: v1::PicturePart = self
                .call::<v1::ReadPicture, _>(ApiOp::PictureRead, request)
                .await?;
            let length = u64::try_from(part.data.len()).unwrap_or(u64::MAX);
            let rest = part.size.saturating_sub(offset);
            if part.size > PICTURE_MAX || length > rest.min(PART) || (length == 0 && rest > 0) {
                return Err(damaged(view));
            }
            bytes.extend_from_slice(&part.data);
            if length == rest {
                break;
            }
        }
        let digest = PictureDigest(Sha256::digest(&bytes).into()).to_string();
        if view.picture.sha256.as_deref() == Some(digest.as_str()) {
            Ok(bytes)
        } else {
            Err(damaged(view))
        }
    }
}

fn damaged(view: &PictureView) -> CliError {
    let message = format!("picture {} is not what its digest says", view.id);
    CliError::new(ErrorCode::PictureDamaged, message)
}
