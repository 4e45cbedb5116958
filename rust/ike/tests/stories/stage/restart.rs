//! A host ends and begins again: another engine, with other chance, that knows what was written down.

use std::sync::Arc;

use mobike_ike::park::{ResumeError, Standing};
use mobike_ike::{Command, Engine, SaId, Settings};

use super::host::HostId;
use super::pair::{PROFILE, Pair};
use super::world::World;

impl World {
    /// All established IKE SAs of a host as octets.
    pub fn parked(&self, who: HostId) -> Vec<Vec<u8>> {
        let engine = &self.host(who).engine;
        engine.established().map(|sa| engine.park(sa).expect("an established SA can be parked").to_vec()).collect()
    }

    /// The host has another engine, which knows nothing.
    pub fn reboot(&mut self, who: HostId, settings: Settings) {
        self.reboots += 1;
        let mut seed = [0xbb; 32];
        seed[..8].copy_from_slice(&self.reboots.to_le_bytes());
        self.hosts[who.0].engine = Engine::new(settings, seed);
        self.forget_counters(who);
    }

    /// It comes up again and has nothing to take back.
    pub fn reboot_empty(&mut self, who: HostId, settings: Settings) {
        self.reboot(who, settings);
        self.rules.forget_lives(who);
    }

    /// It takes these back.
    pub fn resume(&mut self, who: HostId, parked: &[Vec<u8>], standing: Standing) -> Result<Vec<SaId>, ResumeError> {
        let now = self.now;
        let mut sas = Vec::new();
        for octets in parked {
            let resumed = self.hosts[who.0].engine.resume(now, octets, standing)?;
            let children: Vec<_> = resumed.children.iter().map(|(child, _)| *child).collect();
            self.rules.resumed(who, resumed.up.sa, &children);
            sas.push(resumed.up.sa);
        }
        Ok(sas)
    }
}

impl Pair {
    /// A host ends and begins again with what it knows now.
    pub fn restart(&mut self, who: HostId) {
        let parked = self.parked(who);
        self.restart_from(who, &parked, Standing::Sure);
    }

    /// A host dies, and begins again with what it knew when this was written down.
    pub fn crash(&mut self, who: HostId, parked: &[Vec<u8>]) {
        self.restart_from(who, parked, Standing::Doubtful);
    }

    fn restart_from(&mut self, who: HostId, parked: &[Vec<u8>], standing: Standing) {
        self.reboot(who, Settings::default());
        let profile = self.profile_of(who);
        self.order(who, Command::SetProfile { id: PROFILE, profile: Arc::new(profile) });
        self.resume(who, parked, standing).expect("what was parked can be resumed");
    }
}
