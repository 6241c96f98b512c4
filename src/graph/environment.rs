//! What a command line sets up before it opens anything: secrets, and where notices go.

use std::sync::Arc;

use super::objects::ThrottleGroups;
use crate::crypto::secret::SecretStore;
use crate::node::Notices;

/// Shared by everything that one command opens.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `--object secret,…`
    pub secrets: Arc<SecretStore>,
    /// `--object throttle-group,…`
    pub throttle_groups: Arc<ThrottleGroups>,
    /// Where drivers' notices go.
    pub notices: Notices,
}
