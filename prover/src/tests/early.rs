//! Transcripts that draw challenges too early, and what a cheating prover makes of knowing them.
//!
//! The steps of a transcript are the messages that it absorbs; [`START`] is the step before the first. A [`Schedule`] tells
//! which challenges are drawn at which step instead of at their own; prover and verifier follow the same one, and every
//! challenge drawn so far lies open in [`Known`]. An empty schedule is the protocol.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use ark_bn254::Fr;
use ark_ff::PrimeField;
use zkloom_backends::CpuBackend;
use zkloom_plonkish::Circuit;
use zkloom_verifier::identities::LookupChallenges;
use zkloom_verifier::openings::Challenges;
use zkloom_verifier::rounds::folds::FoldChallenges;
use zkloom_verifier::rounds::link::IdentityChallenge;
use zkloom_verifier::rounds::quotient::EvaluationPoint;
use zkloom_verifier::rounds::trace::TraceChallenges;
use zkloom_verifier::transcript::{HashTranscript, Message};
use zkloom_verifier::{HashKind, Transcript, VerifyError, verify_with};

use super::sample::Sample;
use crate::device::Prover;
use crate::key::ProvingKey;
use crate::prove::{Conduct, ProverInput};
use crate::randomness::Blinding;
use crate::srs::Srs;

/// The step before the statement is absorbed.
pub(crate) const START: &str = "start";

/// Challenges by name, in the order of their drawing.
type Drawn = BTreeMap<&'static str, Vec<Fr>>;

/// Challenges drawn so far, and those of an attempt before this one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    drawn: Rc<RefCell<Drawn>>,
    before: Rc<Drawn>,
}

impl Known {
    /// The challenge, if it was drawn, and otherwise a guess: what a forger who comes too late must do. The best guess is
    /// what an attempt before this one drew, since that is right wherever a message is not bound.
    pub(crate) fn guess(&self, name: &'static str) -> Fr {
        self.nth(name, 0)
    }

    /// The same for a name that is drawn several times.
    pub(crate) fn nth(&self, name: &'static str, index: usize) -> Fr {
        let find = |drawn: &Drawn| drawn.get(name).and_then(|values| values.get(index)).copied();
        let blind = || Fr::from_be_bytes_mod_order(blake3::hash(name.as_bytes()).as_bytes());
        find(&self.drawn.borrow()).or_else(|| find(&self.before)).unwrap_or_else(blind)
    }

    /// A challenge that was drawn.
    pub(crate) fn drawn(&self, name: &str) -> Option<Fr> {
        self.drawn.borrow().get(name).and_then(|values| values.first()).copied()
    }

    /// All challenges up to round 4, guessed where they are not drawn yet.
    pub(crate) fn challenges(&self, circuit: &Circuit) -> Challenges {
        let trace = TraceChallenges {
            roles: (0..circuit.roles.len()).map(|role| self.nth("theta", role)).collect(),
            public: self.guess("theta_P"),
            lambda: self.guess("lambda"),
            lookup: LookupChallenges { point: self.guess("x"), gamma: self.guess("gamma_l") },
        };
        let folds = FoldChallenges { beta: self.guess("beta"), mu: self.guess("mu"), link: self.guess("g") };
        let (identity, point) = (IdentityChallenge(self.guess("alpha")), EvaluationPoint(self.guess("z")));
        Challenges { trace, folds, identity, point }
    }

    fn note(&self, name: &'static str, value: Fr) {
        self.drawn.borrow_mut().entry(name).or_default().push(value);
    }

    fn count(&self, name: &'static str) -> usize {
        self.drawn.borrow().get(name).map_or(0, Vec::len)
    }
}

/// How a transcript departs from the protocol's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schedule {
    /// Name, how often it is drawn, and the step after whose message.
    moved: Vec<(&'static str, usize, &'static str)>,
    /// Name and number of a challenge, and what it is instead of random.
    fixed: Vec<(&'static str, usize, Fr)>,
    /// Name, number of a challenge, and the number of the one before that it equals.
    equal: Vec<(&'static str, usize, usize)>,
}

impl Schedule {
    /// The protocol itself.
    pub(crate) fn protocol() -> Self {
        Self::default()
    }

    /// Draws a challenge right after the message of `step`.
    pub(crate) fn early(mut self, name: &'static str, step: &'static str) -> Self {
        self.moved.push((name, 1, step));
        self
    }

    /// Draws the challenges of `count` axis roles right after the message of `step`.
    pub(crate) fn early_roles(mut self, count: usize, step: &'static str) -> Self {
        self.moved.push(("theta", count, step));
        self
    }

    /// Gives a challenge a fixed value.
    pub(crate) fn fixed(mut self, name: &'static str, value: Fr) -> Self {
        self.fixed.push((name, 0, value));
        self
    }

    /// Uses one challenge for two axis roles.
    pub(crate) fn one_for_two_roles(mut self, first: u32, second: u32) -> Self {
        self.equal.push(("theta", second as usize, first as usize));
        self
    }

    /// Starts a transcript.
    pub(crate) fn transcript(&self, hash: HashKind) -> EarlyTranscript {
        let mut transcript = EarlyTranscript {
            inner: HashTranscript::new(hash),
            schedule: self.clone(),
            waiting: BTreeMap::new(),
            known: Known::default(),
        };
        transcript.after(START);
        transcript
    }
}

/// The transcript of a schedule.
pub(crate) struct EarlyTranscript {
    inner: HashTranscript,
    schedule: Schedule,
    /// Drawn, but not asked for yet.
    waiting: BTreeMap<&'static str, VecDeque<Fr>>,
    known: Known,
}

impl EarlyTranscript {
    /// Everything drawn, now and later.
    pub(crate) fn known(&self) -> Known {
        self.known.clone()
    }

    fn after(&mut self, step: &'static str) {
        for (name, count, at) in self.schedule.moved.clone() {
            for _ in 0..if at == step { count } else { 0 } {
                let value = self.draw(name);
                self.waiting.entry(name).or_default().push_back(value);
            }
        }
    }

    fn draw(&mut self, name: &'static str) -> Fr {
        let drawn = self.inner.challenge(name);
        let number = self.known.count(name);
        let fixed = self.schedule.fixed.iter().find(|(n, i, _)| *n == name && *i == number);
        let equal = self.schedule.equal.iter().find(|(n, i, _)| *n == name && *i == number);
        let value = match (fixed, equal) {
            (Some((.., value)), _) => *value,
            (None, Some((.., before))) => self.known.nth(name, *before),
            (None, None) => drawn,
        };
        self.known.note(name, value);
        value
    }
}

impl Transcript for EarlyTranscript {
    fn absorb(&mut self, label: &'static str, message: &Message) {
        self.inner.absorb(label, message);
        self.after(label);
    }

    fn challenge(&mut self, name: &'static str) -> Fr {
        let waiting = self.waiting.get_mut(name).and_then(VecDeque::pop_front);
        waiting.unwrap_or_else(|| self.draw(name))
    }

    fn closing(&self) -> [u8; 32] {
        self.inner.closing()
    }
}

/// A key with everything that an honest proof needs.
pub(crate) trait Setting {
    fn key(&self) -> &ProvingKey;
    fn srs(&self) -> &Srs;
    fn backend(&self) -> &CpuBackend;
    /// An honest prover's input.
    fn honest(&self) -> ProverInput;
}

impl Setting for Sample {
    fn key(&self) -> &ProvingKey {
        &self.key
    }

    fn srs(&self) -> &Srs {
        &self.srs
    }

    fn backend(&self) -> &CpuBackend {
        &self.backend
    }

    fn honest(&self) -> ProverInput {
        self.input(&self.inputs)
    }
}

/// One attempt, with what an attempt before it drew.
fn run<C: Conduct<CpuBackend>>(
    setting: &impl Setting,
    schedule: &Schedule,
    before: Drawn,
    plan: impl FnOnce(Known, &mut ProverInput) -> C,
) -> (Result<(), VerifyError>, Drawn) {
    let key = setting.key().verifying();
    let prover = Prover::new(setting.backend(), setting.srs(), setting.key()).unwrap();
    let mut transcript = schedule.transcript(key.hash());
    transcript.known.before = Rc::new(before);
    let known = transcript.known();
    let mut input = setting.honest();
    let mut forger = plan(transcript.known(), &mut input);
    let mut random = Blinding::from_seed(1);
    let (statement, proof) = prover.prove_as(&input, &mut random, &mut transcript, &mut forger).unwrap();
    let mut own = schedule.transcript(key.hash());
    let result = verify_with(key, setting.srs().pin(), &statement, &proof, &mut own);
    let drawn = known.drawn.borrow().clone();
    (result, drawn)
}

/// Makes a proof with a cheating prover under a schedule and verifies it under the same. `plan` sees the challenges (those
/// drawn at [`START`] are there already), may change the input, and returns the cheat.
pub(crate) fn attempt<C: Conduct<CpuBackend>>(
    setting: &impl Setting,
    schedule: &Schedule,
    plan: impl FnOnce(Known, &mut ProverInput) -> C,
) -> Result<(), VerifyError> {
    run(setting, schedule, Drawn::new(), plan).0
}

/// Two attempts under the protocol with the same randomness: the second one takes its guesses from what the first one drew.
/// It would succeed if a message that the cheat changes were not absorbed before the challenge that it must precede.
pub(crate) fn attempt_twice<C: Conduct<CpuBackend>>(
    setting: &impl Setting,
    plan: impl Fn(Known, &mut ProverInput) -> C,
) -> Result<(), VerifyError> {
    let schedule = Schedule::protocol();
    let (_, drawn) = run(setting, &schedule, Drawn::new(), &plan);
    run(setting, &schedule, drawn, plan).0
}

/// The same under the protocol.
pub(crate) fn cheat<C: Conduct<CpuBackend>>(setting: &impl Setting, forger: C) -> Result<(), VerifyError> {
    attempt(setting, &Schedule::protocol(), |_, _| forger)
}
