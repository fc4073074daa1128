//! Whether the journal does on long random days exactly what the rules written down a second time do, through kills and restarts.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use tillswitch::journal::State;
use tillswitch_core::{Operation, wall_clock};

use crate::model::{Entry, Model, Told, WINDOW_MINUTES, Wish};
use crate::real::Real;

const STEPS: usize = 60;
/// As many as fit into a minute of a debug build.
const CASES: u32 = 2_000;
const MORNING: Duration = Duration::from_secs(1_782_892_800);

thread_local! {
    /// How much of the day is over: the clock of journal and model.
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// How often each answer was given, over all days.
static SEEN: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

fn clock() -> SystemTime {
    UNIX_EPOCH + MORNING + NOW.get()
}

#[derive(Clone, Debug)]
pub enum Step {
    Begin(Wish),
    /// One of the earlier requests once more.
    Again(Index),
    Dispatch(Index),
    Finish {
        place: Index,
        next: State,
        approves: Share,
        releases: bool,
    },
    LeaveToPerson(Index),
    Evidence(Index, Kind),
    Deliver(Index),
    Pass(Duration),
    /// The router stops in order and starts.
    Restart,
    /// It is killed, with a request in its queue.
    Kill(Index),
}

/// How much of what was asked is approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    All,
    Half,
    Double,
}

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Note,
    Record,
    Slip,
}

/// The rules, and what they expect of the last step.
#[derive(Clone, Debug, Default)]
struct Rules {
    model: Model,
    asked: Vec<Wish>,
    expected: Expected,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Expected {
    #[default]
    Nothing,
    Told(Wish, Told),
    /// About this payment, and whether it is done.
    Moves(usize, bool),
    Recovered(usize, usize),
}

fn wish() -> impl Strategy<Value = Wish> {
    let name = prop_oneof![6 => Just(None), 2 => (0u8..3).prop_map(Some), 3 => (3u8..40).prop_map(Some)];
    let made = prop_oneof![2 => Just(None), 3 => (0u8..3).prop_map(Some), 2 => (3u8..40).prop_map(Some)];
    let document =
        prop_oneof![1 => Just(None), 6 => (0u8..4, 0u8..2).prop_map(|(number, kind)| Some((number, kind / 2)))];
    let operator = prop_oneof![3 => Just(None), 1 => (0u8..12).prop_map(Some)];
    let admission = prop_oneof![
        8 => Just(Entry::Dispatch), 3 => Just(Entry::Queue), 1 => Just(Entry::Refuse), 1 => Just(Entry::TooOld)
    ];
    let operation = prop_oneof![3 => Just(Operation::Sale), 1 => Just(Operation::Refund)];
    let amount = (select(vec![1000u64, 1000, 2000, 500]), prop::bool::weighted(0.1));
    let rules = (prop::bool::weighted(0.2), prop::bool::weighted(0.3));
    let place = (0u8..2, operation, amount, document);
    (operator, name, made, place, rules, admission).prop_map(
        |(operator, guid, made, place, (allow, confirmed), admission)| {
            let (register, operation, (minor, francs), document) = place;
            // A person's request names no time, and a till's confirms nothing.
            let (guid, made, confirmed) = match operator {
                Some(_) => (None, None, confirmed),
                None => (guid, made, false),
            };
            let admission = if operator.is_some() && admission == Entry::TooOld { Entry::Dispatch } else { admission };
            Wish {
                operator,
                guid,
                made,
                document,
                operation,
                register,
                minor,
                francs,
                undoes: None,
                allow,
                confirmed,
                admission,
            }
        },
    )
}

/// What a person asks for who undoes a payment.
fn undoing(model: &Model) -> BoxedStrategy<Step> {
    let is_paid = |place: &usize| {
        let payment = &model.payments[*place];
        payment.state == State::Approved && payment.wish.operation == Operation::Sale
    };
    let sales: Vec<(usize, Wish)> =
        (0..model.payments.len()).filter(is_paid).map(|place| (place, model.payments[place].wish.clone())).collect();
    if sales.is_empty() {
        return wish().prop_map(Step::Begin).boxed();
    }
    let part = select(vec![1u64, 1, 2, 4]);
    (select(sales), 0u8..60, any::<bool>(), part, any::<bool>())
        .prop_map(|((place, sale), key, reverses, part, confirmed)| {
            let (operation, part) = if reverses { (Operation::Reversal, 1) } else { (Operation::Refund, part) };
            Step::Begin(Wish {
                operator: Some(key),
                guid: None,
                made: None,
                operation,
                minor: sale.minor / part,
                undoes: Some(place),
                confirmed,
                admission: Entry::Dispatch,
                ..sale
            })
        })
        .boxed()
}

fn next_state() -> impl Strategy<Value = State> {
    prop_oneof![
        6 => Just(State::Approved), 2 => Just(State::InDoubt), 1 => Just(State::Declined), 1 => Just(State::Cancelled),
        1 => Just(State::Failed), 2 => Just(State::Expired), 1 => select(State::ALL.to_vec())
    ]
}

impl ReferenceStateMachine for Rules {
    type State = Rules;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Rules> {
        Just(Rules::default()).boxed()
    }

    fn transitions(rules: &Rules) -> BoxedStrategy<Step> {
        let share = prop_oneof![6 => Just(Share::All), 1 => Just(Share::Half), 1 => Just(Share::Double)];
        let finish = (any::<Index>(), next_state(), share, prop::bool::weighted(0.7));
        let kind = select(vec![Kind::Note, Kind::Record, Kind::Slip]);
        prop_oneof![
            9 => wish().prop_map(Step::Begin),
            3 => undoing(&rules.model),
            5 => any::<Index>().prop_map(Step::Again),
            2 => any::<Index>().prop_map(Step::Dispatch),
            9 => finish.prop_map(|(place, next, approves, releases)| Step::Finish { place, next, approves, releases }),
            1 => any::<Index>().prop_map(Step::LeaveToPerson),
            1 => (any::<Index>(), kind).prop_map(|(place, kind)| Step::Evidence(place, kind)),
            3 => any::<Index>().prop_map(Step::Deliver),
            2 => (0u64..2 * 60 * WINDOW_MINUTES).prop_map(|seconds| Step::Pass(Duration::from_secs(seconds))),
            1 => Just(Step::Restart),
            1 => any::<Index>().prop_map(Step::Kill),
        ]
        .boxed()
    }

    fn apply(mut rules: Rules, step: &Step) -> Rules {
        // A moment passes, so that no two things happen at the same one.
        rules.model.now += Duration::from_millis(1);
        rules.expected = rules.expect(step);
        rules
    }
}

impl Rules {
    fn expect(&mut self, step: &Step) -> Expected {
        match step {
            Step::Begin(wish) => self.ask(wish.clone()),
            Step::Again(place) if self.asked.is_empty() => {
                let _ = place;
                Expected::Nothing
            }
            Step::Again(place) => self.ask(place.get(&self.asked).clone()),
            Step::Pass(time) => {
                self.model.now += *time;
                Expected::Nothing
            }
            Step::Restart | Step::Kill(_) => {
                let (in_doubt, expired) = self.model.recover();
                Expected::Recovered(in_doubt, expired)
            }
            Step::Dispatch(place)
            | Step::Finish { place, .. }
            | Step::LeaveToPerson(place)
            | Step::Evidence(place, _)
            | Step::Deliver(place) => match self.model.payments.len() {
                0 => Expected::Nothing,
                count => self.moves(step, place.index(count)),
            },
        }
    }

    fn ask(&mut self, wish: Wish) -> Expected {
        let told = self.model.begin(&wish);
        self.asked.push(wish.clone());
        Expected::Told(wish, told)
    }

    fn moves(&mut self, step: &Step, place: usize) -> Expected {
        let model = &mut self.model;
        let done = match step {
            Step::Dispatch(_) => model.dispatch(place),
            Step::Finish { next, approves, releases, .. } => {
                let minor = model.payments[place].wish.minor;
                model.finish(place, *next, share(minor, *approves), *releases)
            }
            Step::LeaveToPerson(_) => model.leave_to_person(place),
            Step::Deliver(_) => {
                model.deliver(place);
                true
            }
            _ => model.keeps_evidence(place),
        };
        Expected::Moves(place, done)
    }
}

pub fn share(minor: u64, approves: Share) -> Option<u64> {
    match approves {
        Share::All => None,
        Share::Half => Some(minor / 2),
        Share::Double => Some(minor * 2),
    }
}

struct Days;

impl StateMachineTest for Days {
    type SystemUnderTest = Real;
    type Reference = Rules;

    fn init_test(_: &Rules) -> Real {
        NOW.set(Duration::ZERO);
        wall_clock::simulate(Some(clock));
        Real::open()
    }

    fn apply(mut real: Real, rules: &Rules, step: Step) -> Real {
        NOW.set(rules.model.now);
        match &rules.expected {
            Expected::Nothing => {}
            Expected::Told(wish, expected) => {
                let told = real.begin(wish);
                note(&told);
                assert_eq!(&told, expected);
            }
            Expected::Moves(place, done) => {
                let moved = real.moves(&step, *place, &rules.model.payments[*place].wish);
                assert_eq!(moved, *done, "{step:?} of payment {place}");
            }
            Expected::Recovered(..) => {
                if let Step::Kill(place) = &step {
                    real.kill(&rules.asked, place);
                } else {
                    real.stop();
                }
                assert_eq!(real.recover(), rules.expected);
            }
        }
        real
    }

    fn check_invariants(_: &Real, rules: &Rules) {
        assert_eq!(rules.model.overdrawn(), None, "more goes back than was paid");
    }

    fn teardown(mut real: Real, rules: Rules) {
        real.compare(&rules.model);
        wall_clock::simulate(None);
    }
}

fn note(told: &Told) {
    let word = match told {
        Told::New { original: None } => "new".into(),
        Told::New { .. } => "new, of an original".into(),
        Told::SameEvent(..) => "the same event".into(),
        Told::Joins(..) => "joins".into(),
        Told::Conflict { code, repeated: false, .. } => code.name().to_owned(),
        Told::Conflict { code, .. } => format!("{code} again"),
    };
    *SEEN.lock().unwrap().entry(word).or_default() += 1;
}

/// More days, or other ones: `TILLSWITCH_MODEL_CASES=200000 TILLSWITCH_MODEL_SEED=2`.
fn number(variable: &str) -> Option<u32> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn random_days_go_as_the_rules_say() {
    let cases = number("TILLSWITCH_MODEL_CASES").unwrap_or(CASES);
    let seed = number("TILLSWITCH_MODEL_SEED").unwrap_or(1);
    let config = Config { cases, max_shrink_iters: 20_000, failure_persistence: None, ..Config::default() };
    // The same days on every machine.
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed.to_le_bytes(); 8].concat());
    let mut runner = TestRunner::new_with_rng(config.clone(), random);
    let days = Rules::sequential_strategy(1..=STEPS);
    let result = runner.run(&days, |(first, steps, seen)| {
        Days::test_sequential(config.clone(), first, steps, seen);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let seen = SEEN.lock().unwrap();
    println!("{cases} days: {seen:?}");
    // Days on which half of the rules never came up would prove nothing.
    for answer in [
        "new",
        "new, of an original",
        "the same event",
        "joins",
        "conflicting-repeat",
        "suspected-repeat",
        "suspected-repeat again",
        "document-in-doubt",
        "document-in-doubt again",
        "over-refund",
    ] {
        assert!(seen.get(answer).is_some_and(|times| *times >= 10), "{answer}: {seen:?}");
    }
}
