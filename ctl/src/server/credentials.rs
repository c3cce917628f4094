//! Credentials that are pushed to sites.

use tvtfleet_proto::model::api::Page;
use tvtfleet_proto::model::push::{
    CredentialView, ListCredentials, ListSealingKeys, PushCredentials, SealingKey,
};
use tvtfleet_proto::subject::ApiOp;
use tvtfleet_proto::wire::v1;

use crate::error::CliError;

use super::{Server, next_cursor};

impl Server {
    /// The operator's credentials file, where one is set.
    pub(crate) fn operator_file(&self) -> Option<&std::path::Path> {
        let file = self.settings.credentials.as_ref();
        file.map(|file| file.value.as_path())
    }

    /// Lists the sealing keys of agents, whatever the request's cursor says.
    pub(crate) async fn sealing_keys(
        &self,
        mut request: ListSealingKeys,
    ) -> Result<Vec<SealingKey>, CliError> {
        let mut rows = Vec::new();
        request.cursor.clear();
        loop {
            let page: Page<SealingKey> = self
                .ask::<v1::ListSealingKeys, v1::SealingKeyPage, _>(
                    ApiOp::CredentialKeys,
                    request.clone(),
                )
                .await?;
            rows.extend(page.rows);
            match next_cursor(page.next, &request.cursor)? {
                Some(next) => request.cursor = next,
                None => return Ok(rows),
            }
        }
    }

    /// Brings credentials that are sealed to agents.
    pub(crate) async fn push_credentials(&self, request: PushCredentials) -> Result<(), CliError> {
        let _sites: v1::CredentialsPushed = self
            .call::<v1::PushCredentials, _>(ApiOp::CredentialPush, request)
            .await?;
        Ok(())
    }

    /// Lists pushed credentials, whatever the request's cursor says.
    pub(crate) async fn credentials(
        &self,
        mut request: ListCredentials,
    ) -> Result<Vec<CredentialView>, CliError> {
        let mut rows = Vec::new();
        request.cursor.clear();
        loop {
            let page: Page<CredentialView> = self
                .ask::<v1::ListCredentials, v1::CredentialPage, _>(
                    ApiOp::CredentialList,
                    request.clone(),
                )
                .await?;
            rows.extend(page.rows);
            match next_cursor(page.next, &request.cursor)? {
                Some(next) => request.cursor = next,
                None => return Ok(rows),
            }
        }
    }
}
