//! Stories of puzzles (RFC 8019): who must solve them, how that slows a flood down, and that honest clients come in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::crowd;

use core::net::IpAddr;
use core::time::Duration;

use crowd::{Crowd, client, ip};
use mobike_ike::crypto::algorithm::Prf;
use mobike_ike::crypto::puzzle::{Progress, Solver};
use mobike_ike::wire::puzzle::Puzzle;
use mobike_ike::wire::{
    Clear, ExchangeType, Flags, Header, Message, MessageWriter, NotifyType, Payload, Payloads, PrfId, SkSizes, SkWriter,
};
use mobike_ike::{HalfOpenLimits, PrefixLimits, PuzzleLimits, Settings};
use proptest::prelude::*;

const SECRET: &[u8] = b"correct horse battery staple";

/// Puzzles for everybody, as soon as ten are half-open.
fn limits() -> HalfOpenLimits {
    let puzzles =
        PuzzleLimits { threshold: 10, easiest: 4, hardest: 12, unsolved_per_second: 2, auth_threshold: 1_000 };
    HalfOpenLimits { cookie_threshold: 5, max: 100, puzzles, ..HalfOpenLimits::default() }
}

/// Ten are half-open, each from another network.
fn busy(limits: HalfOpenLimits) -> Crowd {
    let mut crowd = Crowd::new(limits);
    for n in 0..10u8 {
        crowd.insist(ip(&format!("100.64.{n}.1")), u64::from(n) + 1);
    }
    assert_eq!(crowd.gateway.population().half_open, 10);
    crowd
}

/// The cookie and the puzzle of an answer.
fn puzzle_in(payloads: &Payloads<'_>) -> Option<(Vec<u8>, Puzzle)> {
    let cookie = payloads.notify(NotifyType::COOKIE)?.data.to_vec();
    Some((cookie, Puzzle::read(payloads.notify(NotifyType::PUZZLE)?)?))
}

fn asked(crowd: &mut Crowd, from: IpAddr, spi: u64) -> (Vec<u8>, Puzzle) {
    let request = crowd.request(spi, &[]);
    crowd.send(from, &request, puzzle_in).flatten().expect("a cookie and a puzzle")
}

fn solved(cookie: &[u8], puzzle: Puzzle) -> [u8; 32] {
    let mut solver = Solver::new(Prf::HmacSha384, puzzle.difficulty, cookie, 1);
    loop {
        if let Progress::Solved(solution) = solver.work(1_000) {
            return solution;
        }
    }
}

fn answer(crowd: &mut Crowd, from: IpAddr, spi: u64, cookie: &[u8], solution: Option<&[u8]>) -> bool {
    let mut payloads = vec![Payload::notify(NotifyType::COOKIE, cookie)];
    payloads.extend(solution.map(Payload::PuzzleSolution));
    let request = crowd.request(spi, &payloads);
    crowd.send(from, &request, |payloads| payloads.sa().is_some()).unwrap_or(false)
}

#[test]
fn a_client_of_a_gateway_under_attack_solves_a_puzzle_and_comes_in() {
    // IKE_SA_INIT -->  <-- N(COOKIE), N(PUZZLE)    N(COOKIE), PS, IKE_SA_INIT -->  ...
    let mut crowd = busy(limits());
    let from = ip("192.0.2.9");
    let one = client(7, SECRET, crowd.now, from, |_| ());
    let (up, one) = crowd.lead(one, from);
    assert!(up);
    assert_eq!((one.counters().puzzles_done, crowd.count("puzzles_sent"), crowd.count("puzzles_solved")), (1, 1, 1));
}

#[test]
fn the_prf_is_one_that_the_client_offers_and_the_difficulty_grows_with_the_load() {
    let mut crowd = busy(limits());
    let mut hardest = 0;
    let mut spi = 100;
    while crowd.gateway.population().half_open < 100 {
        let from = ip(&format!("100.65.{spi}.1"));
        let (cookie, puzzle) = asked(&mut crowd, from, spi);
        assert_eq!(puzzle.prf, PrfId::PRF_HMAC_SHA2_384, "all that is offered");
        assert!((4..=12).contains(&puzzle.difficulty) && puzzle.difficulty >= hardest, "{puzzle:?}");
        hardest = puzzle.difficulty;
        let solution = solved(&cookie, puzzle);
        assert!(answer(&mut crowd, from, spi, &cookie, Some(&solution)));
        spi += 1;
    }
    assert_eq!(hardest, 11);
    let (cookie, puzzle) = asked(&mut crowd, ip("100.66.0.1"), spi);
    assert_eq!(puzzle.difficulty, 12);
    let solution = solved(&cookie, puzzle);
    assert!(!answer(&mut crowd, ip("100.66.0.1"), spi, &cookie, Some(&solution)), "full is full");
    assert_eq!(crowd.count("dropped_half_open_limit"), 1);
}

#[test]
fn a_solution_is_good_for_its_client_and_for_one_half_open_sa() {
    let mut crowd = busy(limits());
    let (from, elsewhere) = (ip("192.0.2.9"), ip("192.0.2.10"));
    let (cookie, puzzle) = asked(&mut crowd, from, 50);
    let solution = solved(&cookie, puzzle);
    assert!(!answer(&mut crowd, elsewhere, 50, &cookie, Some(&solution)), "another address");
    assert!(!answer(&mut crowd, from, 51, &cookie, Some(&solution)), "another SPI");
    let mut easier = cookie.clone();
    *easier.last_mut().unwrap() = 0;
    assert!(!answer(&mut crowd, from, 50, &easier, Some(&solution)), "an easier puzzle than was asked for");
    assert_eq!(crowd.count("cookies_wrong"), 3);
    let mut spoilt = solution;
    spoilt[31] ^= 1;
    for wrong in [&spoilt[..], &solution[..16], &[&solution[..8]; 4].concat(), &[], &[0; 2_000]] {
        assert!(!answer(&mut crowd, from, 50, &cookie, Some(wrong)), "{wrong:?}");
    }
    assert_eq!(crowd.count("puzzles_wrong"), 5);
    assert!(answer(&mut crowd, from, 50, &cookie, Some(&solution)));
    let another = {
        let payloads = [
            Payload::notify(NotifyType::COOKIE, &cookie),
            Payload::PuzzleSolution(&solution),
            Payload::Vendor(b"another request with the same SPI and nonce"),
        ];
        crowd.request(50, &payloads)
    };
    assert_eq!(crowd.send(from, &another, |payloads| payloads.sa().is_some()), None);
    assert_eq!(crowd.count("dropped_cookie_again"), 1);
}

#[test]
fn clients_that_know_no_puzzles_get_a_share() {
    let mut crowd = busy(limits());
    let mut served = [0; 3];
    for second in &mut served {
        for n in 0..20u64 {
            let spi = crowd.now.0 / 1_000_000 + n;
            let from = ip(&format!("198.18.{n}.1"));
            let (cookie, _) = asked(&mut crowd, from, spi);
            *second += u32::from(answer(&mut crowd, from, spi, &cookie, None));
        }
        crowd.wait(Duration::from_secs(1));
    }
    assert_eq!(served, [2, 2, 2]);
    assert_eq!((crowd.count("puzzles_left_out"), crowd.count("dropped_unsolved")), (6, 54));
}

#[test]
fn behind_an_address_that_owes_too_much_those_who_solve_come_in_and_the_others_do_not() {
    let prefixes = PrefixLimits { cookie_threshold: 4, max: 20, ..PrefixLimits::default() };
    let puzzles = PuzzleLimits { threshold: 1_000, ..limits().puzzles };
    let mut crowd = Crowd::new(HalfOpenLimits { cookie_threshold: 1_000, max: 2_000, prefixes, puzzles, ..limits() });
    let nat = ip("198.51.100.7");
    for spi in 1..=20 {
        crowd.insist(nat, spi);
    }
    let (cookie, puzzle) = asked(&mut crowd, nat, 99);
    assert_eq!(puzzle.difficulty, 4);
    assert!(!answer(&mut crowd, nat, 99, &cookie, None));
    assert_eq!(crowd.count("dropped_prefix_limit"), 1);
    assert!(crowd.honest(nat), "who works for it");
    assert_eq!(crowd.knock(ip("198.51.100.8"), 100, None), crowd::Heard::Served, "a neighbour need not");
}

#[test]
fn whoever_offers_the_wrong_key_exchange_hears_that_before_it_solves_anything() {
    let mut crowd = busy(limits());
    let from = ip("192.0.2.9");
    let both = ["aes256gcm16-prfsha384-ecp256", "aes256gcm16-prfsha384-x25519"];
    let one = client(7, SECRET, crowd.now, from, |profile| {
        profile.ike_suites = both.iter().map(|text| text.parse().unwrap()).collect();
    });
    let (up, one) = crowd.lead(one, from);
    assert!(up);
    assert_eq!((one.counters().puzzles_done, crowd.count("invalid_ke_sent")), (1, 1));
}

/// Two puzzles: one for IKE_SA_INIT, one for what follows.
fn twice() -> HalfOpenLimits {
    HalfOpenLimits { puzzles: PuzzleLimits { auth_threshold: 10, ..limits().puzzles }, ..limits() }
}

#[test]
fn who_solved_one_puzzle_solves_another_before_the_gateway_makes_keys() {
    // ...  N(COOKIE), PS, IKE_SA_INIT -->  <-- SA, KE, Nr, N(PUZZLE)   PS, SK { IDi, AUTH, .. } -->
    let mut crowd = busy(twice());
    let from = ip("192.0.2.9");
    let one = client(7, SECRET, crowd.now, from, |_| ());
    let (up, one) = crowd.lead(one, from);
    assert!(up);
    assert_eq!((one.counters().puzzles_done, crowd.count("puzzles_sent"), crowd.count("puzzles_solved")), (2, 2, 2));
    assert_eq!((crowd.count("dropped_unsolved"), crowd.count("puzzles_wrong")), (0, 0));
}

/// The key exchange is spent on IKE_INTERMEDIATE then, so the solution is ahead of that too; and what AUTH covers of an exchange
/// has what was in the clear in it (RFC 9242 section 3.3.2).
#[test]
fn with_additional_key_exchanges_the_second_solution_comes_with_the_first_of_them() {
    let hybrid = |profile: &mut mobike_ike::Profile| {
        profile.ike_suites = ["aes256gcm16-prfsha384-x25519-ke1_mlkem768", "aes256gcm16-prfsha384-x25519"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
    };
    let mut crowd = Crowd::with(twice(), hybrid);
    for n in 0..10u8 {
        crowd.insist(ip(&format!("100.64.{n}.1")), u64::from(n) + 1);
    }
    let from = ip("192.0.2.9");
    let one = client(7, SECRET, crowd.now, from, hybrid);
    let (up, one) = crowd.lead(one, from);
    assert!(up);
    assert_eq!((one.counters().puzzles_done, crowd.count("puzzles_solved")), (2, 2));
    assert_eq!(crowd.count("dropped_unsolved"), 0, "the first piece comes first");
}

#[test]
fn who_came_in_without_a_solution_is_asked_for_none_later() {
    let mut crowd = busy(twice());
    let from = ip("192.0.2.9");
    // One that cannot solve: it is served out of the share of older clients.
    let settings = Settings { hardest_solved: 0, ..Settings::default() };
    let one = crowd::client_of(settings, (7, SECRET), crowd.now, from, |_| ());
    assert!(crowd.lead(one, from).0);
    assert_eq!((crowd.count("puzzles_sent"), crowd.count("puzzles_left_out")), (1, 1));
}

#[test]
fn without_the_second_solution_nothing_is_computed_and_a_wrong_one_is_none() {
    let mut crowd = busy(twice());
    let from = ip("192.0.2.9");
    let (cookie, puzzle) = asked(&mut crowd, from, 50);
    let solution = solved(&cookie, puzzle);
    let request =
        crowd.request(50, &[Payload::notify(NotifyType::COOKIE, &cookie), Payload::PuzzleSolution(&solution)]);
    let mut bytes = request.clone();
    crowd.gateway.handle_datagram(crowd.now, crowd::path_from(from).reversed(), &mut bytes);
    let answer = crowd.gateway.poll_transmit().unwrap().bytes;
    let message = Message::parse(&answer).unwrap();
    let spi_r = message.header.responder_spi;
    let second = message.payloads.notify(NotifyType::PUZZLE).and_then(Puzzle::read).expect("another puzzle");
    let nonce = message.payloads.nonce().unwrap().octets();
    let string = [nonce, &spi_r.to_be_bytes()].concat();
    let mut say = |solution: Option<&[u8]>| {
        let flags = Flags { initiator: true, version: false, response: false };
        let header = Header::new(50, spi_r, ExchangeType::IKE_AUTH, flags, 1);
        let sizes = SkSizes { iv: 8, icv: 16, block: 1 };
        let clear = solution.map_or_else(Clear::default, |solution| Clear::of(&Payload::PuzzleSolution(solution)));
        let mut writer = SkWriter::behind(&header, clear, sizes, Vec::new());
        writer.push(&Payload::notify(NotifyType::INITIAL_CONTACT, &[]));
        let mut bytes = writer.finish().unwrap().into_message();
        crowd.gateway.handle_datagram(crowd.now, crowd::path_from(from).reversed(), &mut bytes);
        assert!(crowd.gateway.poll_transmit().is_none());
        ["dropped_unsolved", "puzzles_wrong", "puzzles_solved", "dropped_bad_icv"].map(|name| crowd.count(name))
    };
    assert_eq!(say(None), [1, 0, 1, 0]);
    assert_eq!(say(Some(&[7; 32])), [1, 1, 1, 0]);
    assert_eq!(say(Some(&solved(b"of something else", second))), [1, 2, 1, 0]);
    let right = solved(&string, second);
    assert_eq!(say(Some(&right)), [1, 2, 2, 1], "now it looks, and nobody has the keys");
    assert_eq!(say(None), [1, 2, 2, 2], "once is enough");
}

/// An answer in the clear that anybody on the path could send.
fn forged(request: &[u8], payloads: &[Payload<'_>]) -> Vec<u8> {
    let spi = u64::from_be_bytes(request[..8].try_into().unwrap());
    let flags = Flags { initiator: false, version: false, response: true };
    let header = Header::new(spi, 0, ExchangeType::IKE_SA_INIT, flags, 0);
    let mut writer = MessageWriter::new(&header);
    payloads.iter().for_each(|payload| writer.push(payload));
    writer.finish().unwrap()
}

#[test]
fn absurd_puzzles_are_not_solved_and_the_cookie_goes_back_without() {
    let from = ip("192.0.2.9");
    for (prf, difficulty) in [(6, 21), (6, 255), (5, 1), (4, 1), (9_999, 0)] {
        let mut crowd = Crowd::new(limits());
        let mut one = client(7, SECRET, crowd.now, from, |_| ());
        let request = one.poll_transmit().unwrap();
        let puzzle = Puzzle { prf: PrfId(prf), difficulty }.octets();
        let payloads =
            [Payload::notify(NotifyType::COOKIE, b"a forged cookie"), Payload::notify(NotifyType::PUZZLE, &puzzle)];
        one.handle_datagram(crowd.now, request.path, &mut forged(&request.bytes, &payloads));
        assert_eq!(one.counters().puzzles_refused, 1, "{prf} {difficulty}");
        assert!(crowd.lead(one, from).0, "the gateway takes it nevertheless");
    }
}

#[test]
fn a_flood_of_forged_puzzles_costs_a_client_a_bounded_slice_at_a_time_and_a_bounded_number_of_them() {
    let crowd = Crowd::new(limits());
    let from = ip("192.0.2.9");
    let mut one = client(7, SECRET, crowd.now, from, |_| ());
    let request = one.poll_transmit().unwrap();
    let puzzle = Puzzle { prf: PrfId::PRF_HMAC_SHA2_384, difficulty: 6 }.octets();
    let mut now = crowd.now;
    for n in 0..2_000u32 {
        let cookie = n.to_be_bytes();
        let payloads = [Payload::notify(NotifyType::COOKIE, &cookie), Payload::notify(NotifyType::PUZZLE, &puzzle)];
        one.handle_datagram(now, request.path, &mut forged(&request.bytes, &payloads));
        now = now + Duration::from_millis(2);
        one.handle_timeout(now);
        while one.poll_transmit().is_some() {}
    }
    assert_eq!(one.counters().puzzles_done, 6, "no more than it obeys cookies");
    let mut slices = client(8, SECRET, now, from, |_| ());
    let request = slices.poll_transmit().unwrap();
    let puzzle = Puzzle { prf: PrfId::PRF_HMAC_SHA2_384, difficulty: 20 }.octets();
    let payloads = [Payload::notify(NotifyType::COOKIE, b"cookie"), Payload::notify(NotifyType::PUZZLE, &puzzle)];
    slices.handle_datagram(now, request.path, &mut forged(&request.bytes, &payloads));
    for _ in 0..20 {
        let due = slices.poll_timeout().unwrap();
        assert!(due.since(now) <= Duration::from_millis(10), "it goes on soon");
        now = due.max(now);
        slices.handle_timeout(now);
    }
    assert!(
        slices.poll_transmit().is_none(),
        "a million tries are not done in twenty slices, and nothing is repeated meanwhile"
    );
    assert!(Settings::default().hardest_solved >= 20);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_a_stranger_sends_as_cookie_and_solution_it_is_not_served_and_nothing_panics(
        cookie in proptest::collection::vec(any::<u8>(), 0..80),
        solution in proptest::collection::vec(any::<u8>(), 0..300),
        puzzle in proptest::collection::vec(any::<u8>(), 0..8),
        mixed in any::<bool>(),
    ) {
        let mut crowd = busy(HalfOpenLimits { puzzles: PuzzleLimits { easiest: 30, hardest: 40, unsolved_per_second: 0, ..limits().puzzles }, ..limits() });
        let from = ip("192.0.2.9");
        let (true_cookie, _) = asked(&mut crowd, from, 50);
        let cookie = if mixed { true_cookie } else { cookie };
        prop_assert!(!answer(&mut crowd, from, 50, &cookie, Some(&solution)));
        let mut one = client(7, SECRET, crowd.now, from, |_| ());
        let request = one.poll_transmit().unwrap();
        let payloads = [Payload::notify(NotifyType::COOKIE, &cookie), Payload::notify(NotifyType::PUZZLE, &puzzle), Payload::PuzzleSolution(&solution)];
        one.handle_datagram(crowd.now, request.path, &mut forged(&request.bytes, &payloads));
        one.handle_timeout(crowd.now + Duration::from_millis(2));
    }
}
