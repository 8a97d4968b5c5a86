use std::collections::{HashMap, HashSet};

use super::*;

/// A sample line, taken apart by the rules of the exposition format.
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

fn parse(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.strip_suffix('}').unwrap();
    let labels = labels.split(',').filter(|label| !label.is_empty());
    Sample {
        name: name.to_owned(),
        labels: labels
            .map(|label| {
                let (name, value) = label.split_once('=').unwrap();
                let value = value.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
                (name.to_owned(), value.to_owned())
            })
            .collect(),
        value: value.parse().unwrap(),
    }
}

fn value(text: &str, series: &str) -> f64 {
    text.lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
        .unwrap_or_else(|| panic!("{series} is missing"))
        .parse()
        .unwrap()
}

#[test]
fn names_are_unique_and_say_their_kind_and_unit() {
    let mut names = HashSet::new();
    for spec in all() {
        assert!(names.insert(spec.name), "{} twice", spec.name);
        assert!(!spec.help.is_empty() && !spec.help.contains('\n'));
        assert_eq!(
            spec.kind == MetricKind::Counter,
            spec.name.ends_with("_total"),
            "{}",
            spec.name
        );
        let values: Vec<_> = spec.labels.iter().flat_map(|label| label.values).collect();
        for value in values {
            assert!(value.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        }
    }
}

#[test]
fn what_is_rendered_is_what_is_listed() {
    let _network = NetworkMetrics::of(ChainId(8453));
    let _wallet = WalletMetrics::of(ChainId(8453), Address([7; 20]));
    let specs: HashMap<_, _> = all().map(|spec| (spec.name, spec)).collect();
    let mut headed = Vec::new();
    let mut series = HashSet::new();
    for line in render().lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(specs[name].kind.as_str(), kind);
            assert!(!headed.contains(&name.to_owned()), "{name} comes twice");
            headed.push(name.to_owned());
        } else if !line.starts_with('#') {
            let sample = parse(line);
            let spec = specs[headed.last().unwrap().as_str()];
            let suffix = sample.name.strip_prefix(spec.name).unwrap();
            assert_eq!(
                spec.kind == MetricKind::Histogram,
                ["_bucket", "_sum", "_count"].contains(&suffix),
                "{line}"
            );
            let fixed = spec.labels.iter().map(|label| label.name);
            let expected: Vec<_> = spec.configured.iter().copied().chain(fixed).collect();
            let found: Vec<_> = sample
                .labels
                .iter()
                .map(|(name, _)| name.as_str())
                .collect();
            let found: Vec<_> = found.into_iter().filter(|name| *name != "le").collect();
            assert_eq!(found, expected, "{line}");
            for label in spec.labels {
                let (_, value) = sample.labels.iter().find(|(n, _)| n == label.name).unwrap();
                assert!(label.values.contains(&value.as_str()), "{line}");
            }
            assert!(sample.value >= 0.0, "{line}");
            assert!(series.insert((sample.name, sample.labels)), "{line} twice");
        }
    }
    assert_eq!(headed.len(), specs.len());
}

#[test]
fn each_function_moves_its_own_series_only() {
    let before = render();
    request_finished(Surface::Site, Outcome::Paid, Duration::from_millis(3));
    let after = render();
    let series = "octroi_requests_total{surface=\"site\",outcome=\"paid\"}";
    assert_eq!(value(&after, series), value(&before, series) + 1.0);
    let other = "octroi_requests_total{surface=\"pay\",outcome=\"paid\"}";
    assert_eq!(value(&after, other), value(&before, other));
    let count = "octroi_request_seconds_count{surface=\"site\"}";
    assert_eq!(value(&after, count), value(&before, count) + 1.0);
}

#[test]
fn claim_states_have_the_label_that_bears_their_name() {
    for state in PaymentState::ALL {
        claim_payment_moved(*state);
        let label = serde_json::to_string(state).unwrap();
        let series = format!("octroi_claim_payment_steps_total{{to={label}}}");
        assert_eq!(value(&render(), &series), 1.0);
    }
    for state in WorkState::ALL {
        claim_work_moved(*state);
        let label = serde_json::to_string(state).unwrap();
        let series = format!("octroi_claim_work_steps_total{{to={label}}}");
        assert_eq!(value(&render(), &series), 1.0);
    }
}

#[test]
fn a_chain_has_one_set_however_often_it_is_asked_for() {
    let chain = ChainId(31_337);
    NetworkMetrics::of(chain).payment_refused(PaymentReason::Signature);
    NetworkMetrics::of(chain).payment_refused(PaymentReason::Signature);
    NetworkMetrics::of(chain).settlements_unknown(4);
    let text = render();
    let series =
        "octroi_payments_total{network=\"eip155:31337\",result=\"refused\",reason=\"signature\"}";
    assert_eq!(value(&text, series), 2.0);
    assert_eq!(
        value(
            &text,
            "octroi_settlements_unknown{network=\"eip155:31337\"}"
        ),
        4.0
    );
}

#[test]
fn open_connections_come_and_go() {
    connection_opened(Listener::Redirect);
    connection_opened(Listener::Redirect);
    connection_closed(Listener::Redirect);
    let text = render();
    assert_eq!(
        value(&text, "octroi_connections_open{listener=\"redirect\"}"),
        1.0
    );
    assert_eq!(
        value(&text, "octroi_connections_total{listener=\"redirect\"}"),
        2.0
    );
}
