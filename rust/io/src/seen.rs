//! What ESP did in one turn, for the engine: life is told by data first. No Python on the way.

use mobike_esp::GroupId;
use mobike_ike::{Engine, Nanos, Path, SaId, Traffic};

/// IKE SAs whose ESP came or went since the engine was last told. Runs of packets of one SA, which is what batches are
/// made of, take one entry.
#[derive(Default)]
pub(crate) struct Seen(Vec<(GroupId, Traffic)>);

impl Seen {
    /// An authenticated packet came in on the agreed outer addresses.
    pub(crate) fn heard(&mut self, group: GroupId) {
        self.entry(group).heard = true;
    }

    /// A packet went out.
    pub(crate) fn sent(&mut self, group: GroupId) {
        self.entry(group).sent = true;
    }

    /// An authenticated packet came in over another path.
    pub(crate) fn heard_elsewhere(&mut self, group: GroupId, path: Path) {
        self.entry(group).elsewhere = Some(path);
    }

    fn entry(&mut self, group: GroupId) -> &mut Traffic {
        if self.0.last().is_none_or(|(last, _)| *last != group) {
            self.0.push((group, Traffic::default()));
        }
        let last = self.0.len() - 1;
        &mut self.0[last].1
    }

    pub(crate) fn tell(&mut self, now: Nanos, engine: &mut Engine) {
        for (group, traffic) in self.0.drain(..) {
            engine.note_traffic(now, SaId(group.0), traffic);
        }
    }
}
