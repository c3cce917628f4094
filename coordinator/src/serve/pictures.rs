//! Lists pictures and hands them out.

use std::sync::Arc;

use tvtfleet_bus::rpc::{Call, Reply};
use tvtfleet_proto::error::ErrorCode;
use tvtfleet_proto::model::api::ApiError;
use tvtfleet_proto::model::picture::{ListPictures, ReadPicture};
use tvtfleet_proto::wire::v1;

use super::{read, refuse, unreadable};
use crate::core::Core;
use crate::intake::chain;
use crate::store::picture;
use crate::trust::Caller;

/// Lists pictures of the caller's tenants.
pub(super) async fn list(core: &Core, caller: &Caller, call: &Call) -> Result<Reply, ApiError> {
    let request: Result<ListPictures, _> = call.open::<v1::ListPictures>()?.try_into();
    let mut request = request.map_err(unreadable)?;
    caller.confine(&mut request.tenants)?;
    let page = read(core, "list pictures", move |db| picture::list(db, &request)).await?;
    let rows = page.rows.into_iter().map(v1::PictureView::from);
    Ok(Reply::of(&v1::PicturePage {
        rows: rows.collect(),
        next: page.next,
    }))
}

/// Reads part of a picture of the caller's tenants.
pub(super) async fn part(core: &Core, caller: &Caller, call: &Call) -> Result<Reply, ApiError> {
    let request: ReadPicture = call.open::<v1::ReadPicture>()?.into();
    let id = request.id;
    let (site, digest) = read(core, "find a picture", move |db| picture::find(db, id)).await?;
    caller.check_site(&site)?;
    let folder = Arc::clone(&core.pictures);
    let found =
        tokio::task::spawn_blocking(move || folder.read(&site.tenant, digest, request.offset));
    match found.await {
        Ok(Ok(Some((size, data)))) => Ok(Reply::of(&v1::PicturePart { size, data })),
        Ok(Ok(None)) => Err(refuse(
            ErrorCode::PictureWaiting,
            format!("picture {id} has not arrived"),
            "the site sends it when its line and the coordinator's disk allow",
        )),
        Ok(Err(error)) => Err(refuse(error.code(), chain(&error), "")),
        Err(_) => Err(refuse(ErrorCode::Internal, "the picture was not read", "")),
    }
}
