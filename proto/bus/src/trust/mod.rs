//! Who may do what: the accounts and users of a fleet as JSON Web Tokens of NATS, statements signed by
//! the fleet's authority, boxes sealed to one reader, and the string with which an agent joins.
//!
//! Nothing here touches a disk or a server; moments are arguments. Keys are of the crate `nkeys`: the
//! letter that a public key begins with says what it is for (`O` operator, `A` account, `U` user, `X`
//! sealing).

mod account;
mod join;
mod order;
mod proof;
mod push;
mod roster;
mod sealed;
mod signed;
mod token;
mod user;

pub use account::{Account, edge_account};
pub use account::{boot_account, core_account, operator_token, ops_account, system_account};
pub use join::{JoinString, Ticket};
pub use nkeys::{KeyPair, XKey};
pub use order::{ChangeOrder, OPERATORS_MAX, OperatorList, OrderFault};
pub use proof::{check_attest, check_batch, check_join, prove_attest, prove_batch, prove_join};
pub use proof::{check_rotate, prove_rotate};
pub use push::{
    BadPush, CredentialPush, PUSH_SELECTORS_MAX, PUSH_TEXT_MAX, PushContent, fingerprint,
};
pub use roster::{
    AgentRevocation, AgentRotation, OperatorGrant, Role, Roster, TenantGrant, UnknownRole,
};
pub use sealed::{SealedBox, open, seal};
pub use signed::{SignedDocument, Statement};
pub use token::{Lifetime, TrustError, deletion_token, lifetime};
pub use user::{agent_user, credentials, key_of_credentials, plain_user, scoped_user, seed};
