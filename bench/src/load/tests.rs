//! Loads on servers that behave well and badly.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::mpsc;

use super::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A server that hands each request's first line and its connection to `answer`, which returns
/// whether the connection goes on. It ends with the test's process.
fn serve(answer: impl Fn(&str, &mut TcpStream) -> bool + Send + Sync + 'static) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || serve_connection(stream.unwrap(), &*answer));
        }
    });
    Target::parse(&url).unwrap()
}

fn serve_connection(stream: TcpStream, answer: &impl Fn(&str, &mut TcpStream) -> bool) {
    let mut writer = stream.try_clone().unwrap();
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(first)) = lines.next() {
        let rest_of_head = lines.by_ref().map_while(Result::ok);
        rest_of_head
            .take_while(|line| !line.is_empty())
            .for_each(drop);
        if !answer(&first, &mut writer) {
            break;
        }
    }
    // The threads hold clones of the socket, so that dropping this one would not close it.
    let _ = writer.shutdown(std::net::Shutdown::Both);
}

fn load(target: Target, stop: Stop) -> Load {
    Load {
        requests: Requests::Same(target.get(&[]).into()),
        target,
        connections: NonZeroUsize::new(4).unwrap(),
        threads: NonZeroUsize::MIN,
        pace: Pace::Closed,
        stop,
    }
}

#[test]
fn every_request_is_sent_once_whatever_the_threads() {
    let (seen, sent) = mpsc::channel();
    let target = serve(move |line, stream| {
        seen.send(line.to_owned()).unwrap();
        stream.write_all(OK).is_ok()
    });
    let request = |number| format!("GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes();
    let outcome = Load {
        requests: Requests::Distinct((0..100).map(request).collect()),
        threads: NonZeroUsize::new(3).unwrap(),
        ..load(target, Stop::Count(1_000))
    }
    .run()
    .unwrap();
    assert_eq!(outcome.answered_with(200), 100);
    assert_eq!(outcome.failures(200), 0);
    assert_eq!((outcome.body_bytes, outcome.latency.count()), (500, 100));
    let mut sent: Vec<_> = sent.try_iter().collect();
    sent.sort_unstable();
    let mut expected: Vec<_> = (0..100)
        .map(|number| format!("GET /{number} HTTP/1.1"))
        .collect();
    expected.sort_unstable();
    assert_eq!(sent, expected);
}

fn steady(target: Target, per_second: u64, stop: Stop) -> Load {
    let schedule = Schedule::new(NonZeroU64::new(per_second).unwrap());
    Load {
        pace: Pace::Steady(schedule),
        ..load(target, stop)
    }
}

#[test]
fn a_request_that_had_to_wait_was_due_before() {
    let ms = Duration::from_millis;
    let target = Target::parse("http://127.0.0.1:1/").unwrap();
    let load = steady(target, 100, Stop::After(ms(400)));
    assert_eq!(load.turn(1, ms(9)), Turn::Later(ms(10)));
    assert_eq!(load.turn(1, ms(10)), Turn::Due(ms(10)));
    // The server stalled: its latency counts from the time at which it was due.
    assert_eq!(load.turn(1, ms(210)), Turn::Due(ms(10)));
    // And it is sent even after the end, because it was due before.
    assert_eq!(load.turn(39, ms(900)), Turn::Due(ms(390)));
    assert_eq!(load.turn(40, ms(900)), Turn::Never);
}

#[test]
fn a_closed_loop_goes_on_until_its_time_or_its_requests_end() {
    let target = Target::parse("http://127.0.0.1:1/").unwrap();
    let time = Duration::from_secs(2);
    let timed = load(target.clone(), Stop::After(time));
    assert_eq!(
        timed.turn(7, Duration::from_secs(1)),
        Turn::Due(Duration::from_secs(1))
    );
    assert_eq!(timed.turn(7, time), Turn::Never);
    let counted = load(target, Stop::Count(7));
    assert_eq!(counted.turn(6, time), Turn::Due(time));
    assert_eq!(counted.turn(7, time), Turn::Never);
}

#[test]
fn a_steady_rate_sends_what_was_due() {
    let target = serve(|_, stream| stream.write_all(OK).is_ok());
    let outcome = steady(target, 1_000, Stop::After(Duration::from_millis(50)))
        .run()
        .unwrap();
    assert_eq!((outcome.answered_with(200), outcome.failures(200)), (50, 0));
}

#[test]
fn a_server_that_closes_in_good_order_is_asked_again() {
    let target = serve(|_, stream| {
        let answer =
            b"HTTP/1.1 402 Payment Required\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).unwrap();
        false
    });
    let outcome = load(target, Stop::Count(10)).run().unwrap();
    assert_eq!((outcome.answered_with(402), outcome.reopened), (10, 10));
    assert_eq!(outcome.failures(402), 0);
    assert_eq!(outcome.failures(200), 10);
}

#[test]
fn what_breaks_is_counted() {
    let target = serve(|_, stream| {
        stream.write_all(&OK[..OK.len() - 1]).unwrap();
        false
    });
    let outcome = load(target, Stop::Count(10)).run().unwrap();
    assert_eq!((outcome.broken, outcome.answered()), (10, 0));
    assert_eq!(outcome.failures(200), 10);

    let target = serve(|_, stream| stream.write_all(b"hello\r\n\r\n").is_ok());
    let outcome = load(target, Stop::Count(10)).run().unwrap();
    assert_eq!((outcome.malformed, outcome.failures(200)), (10, 10));
}

#[test]
fn more_than_a_socket_takes_is_sent_in_parts() {
    let target = serve(|_, stream| stream.write_all(OK).is_ok());
    let field = "x".repeat(8 << 20);
    let outcome = Load {
        requests: Requests::Same(target.get(&[("X", &field)]).into()),
        ..load(target, Stop::Count(8))
    }
    .run()
    .unwrap();
    assert_eq!((outcome.answered_with(200), outcome.failures(200)), (8, 0));
}

#[test]
fn nobody_there_is_an_error() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let target = Target::parse(&format!("http://{free}/")).unwrap();
    assert!(load(target, Stop::Count(1)).run().is_err());
}
