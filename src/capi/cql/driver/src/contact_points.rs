//! Nodes at no other addresses than those of the contact points
//! (cassandra.disable_initial_host_lookup): for clusters behind translated addresses.

use std::collections::HashSet;
use std::net::{SocketAddr, ToSocketAddrs};

use async_trait::async_trait;
use scylla::errors::TranslationError;
use scylla::policies::address_translator::{AddressTranslator, UntranslatedPeer};

use crate::failure::{Code, Failure};

/// A node whose address is no contact point's is looked for behind one of them: nothing tells behind
/// which, and every node can pass requests on to the right one.
pub struct OnlyContactPoints {
    known: HashSet<SocketAddr>,
    targets: Vec<SocketAddr>,
}

impl OnlyContactPoints {
    pub fn new(hosts: &[String]) -> Result<OnlyContactPoints, Failure> {
        let mut known = HashSet::new();
        let mut targets = Vec::new();
        for host in hosts {
            let addresses: Vec<SocketAddr> = host
                .to_socket_addrs()
                .map_err(|error| Failure::new(Code::Unavailable, format!("{host}: {error}")))?
                .collect();
            let target = addresses
                .iter()
                .find(|address| address.is_ipv4())
                .or(addresses.first());
            targets.extend(target);
            known.extend(addresses);
        }
        if targets.is_empty() {
            return Err(Failure::new(
                Code::Unavailable,
                "the contact points have no addresses",
            ));
        }
        Ok(OnlyContactPoints { known, targets })
    }
}

#[async_trait]
impl AddressTranslator for OnlyContactPoints {
    async fn translate_address(
        &self,
        peer: &UntranslatedPeer,
    ) -> Result<SocketAddr, TranslationError> {
        let address = peer.untranslated_address();
        if self.known.contains(&address) {
            return Ok(address);
        }
        let choice = peer.host_id().as_u128() % self.targets.len() as u128;
        Ok(self.targets[choice as usize])
    }
}
