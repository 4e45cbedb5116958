//! Streams on their way in and out.

use mobike_ike::{Nanos, Path, Transmit};

use super::{Inside, Letter, Links, Outside, Shard};
use crate::classify::{Kind, MARKER, classify, classify_own};
use crate::counters::IoCounters;
use crate::join::Join;
use crate::streams::{self, News};

impl Shard {
    pub(super) fn read_streams(&mut self, now: Nanos) {
        let Outside { streams, counters, .. } = &mut self.outside;
        let news = streams.look(now, &mut self.scratch, counters);
        self.hear_of_streams(now, news);
    }

    /// Another shard read the first message of a stream of ours.
    pub(super) fn take_stream(&mut self, now: Nanos, stream: streams::one::Stream) {
        let Outside { streams, counters, .. } = &mut self.outside;
        if let Some(key) = streams.take_over(stream, counters) {
            self.read_messages(now, key);
        }
    }

    pub(super) fn sweep_streams(&mut self, now: Nanos) {
        let (Outside { streams, counters, .. }, engine) = (&mut self.outside, &self.inside.join.engine);
        let news = streams.sweep(now, |place, path| engine.stream_use(place, path), counters);
        self.hear_of_streams(now, news);
    }

    pub(super) fn flush_streams(&mut self, now: Nanos) {
        let Outside { streams, counters, .. } = &mut self.outside;
        let news = streams.flush(counters);
        self.hear_of_streams(now, news);
    }

    fn hear_of_streams(&mut self, now: Nanos, news: Vec<News>) {
        for one in news {
            match one {
                News::Read(key) => self.read_messages(now, key),
                News::Opened(..) | News::Lost(..) => tell(&mut self.inside.join, now, one),
            }
        }
    }

    fn read_messages(&mut self, now: Nanos, key: u64) {
        let mut any = false;
        let Outside { streams, counters, plugs, .. } = &mut self.outside;
        loop {
            let (path, bytes) = match streams.message(key, counters) {
                Ok(Some(message)) => message,
                Ok(None) => break,
                Err(lost) => return lost.into_iter().for_each(|lost| tell(&mut self.inside.join, now, lost)),
            };
            any = true;
            if plugs.is_out(path.local.ip()) {
                counters.unplugged += 1;
                continue;
            }
            counters.datagrams_in += 1;
            counters.bytes_in += bytes.len() as u64;
            let length = bytes.len();
            let (kind, bytes) = classify(bytes, true);
            if let Some(shard) = kind.shard().filter(|shard| self.links.is_elsewhere(*shard)) {
                let letter = Letter::Datagram { path, kind, bytes: Box::from(&*bytes) };
                match streams.give_away(key, length) {
                    Some(stream) => return hand_over(&self.links, shard, Letter::Stream(Box::new(stream)), counters),
                    None => self.links.hand_over(shard, letter, counters),
                }
                continue;
            }
            self.inside.take(now, path, kind, bytes, self.behind, counters);
            if let Some(place) = kind.ike_place()
                && self.inside.join.engine.stream_use(place, path).is_there()
            {
                streams.note_owner(key, place);
            }
        }
        streams.note_taken(now, key, any);
    }
}

/// A stream that cannot be handed over is closed: its peer opens another one.
fn hand_over(links: &Links, shard: u8, stream: Letter, counters: &mut IoCounters) {
    counters.streams_handed_over += 1;
    links.hand_over(shard, stream, counters);
}

fn tell(join: &mut Join, now: Nanos, news: News) {
    match news {
        News::Opened(place, path) => join.engine.handle_stream_opened(now, place, path),
        News::Lost(place, path) => join.engine.handle_stream_lost(now, place, path),
        News::Read(_) => {}
    }
}

impl Outside {
    /// An IKE message that takes a stream.
    pub(super) fn transmit_in_stream(&mut self, now: Nanos, join: &mut Join, transmit: &Transmit) {
        let (Kind::Ike { ours: Some(spi) }, _) = classify_own(&transmit.bytes, false) else {
            self.counters.send_no_stream += 1;
            return;
        };
        let letter = streams::Letter {
            path: transmit.path,
            place: mobike_ike::table::spi::ike_place(spi),
            parts: &[&MARKER, &transmit.bytes],
            esp: false,
            again: transmit.again,
        };
        let may_open = || join.engine.may_open_stream(letter.place);
        if let Some(news) = self.streams.send(now, &letter, may_open, &mut self.counters) {
            tell(join, now, news);
        }
    }

    /// An ESP packet that was sealed into the send buffer.
    pub(super) fn push_in_stream(
        &mut self,
        now: Nanos,
        inside: &mut Inside,
        (path, place): (Path, u32),
        length: usize,
    ) {
        let packet = self.send.buffer().get(..length).unwrap_or_default();
        let letter = streams::Letter { path, place, parts: &[packet], esp: true, again: false };
        if let Some(news) = self.streams.send(now, &letter, || false, &mut self.counters) {
            tell(&mut inside.join, now, news);
        }
    }
}
