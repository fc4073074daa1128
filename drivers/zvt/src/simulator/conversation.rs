//! The PT's side of talking: who waits for whom, for how long, and what counts as a fault of the ECR.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, timeout_at};

use super::line::{Line, Pace};
use super::messages::Voice;
use super::terminal::Terminal;
use crate::apdu::{Apdu, ControlField, control};
use crate::bmp::BmpError;
use crate::command::{negative, positive};
use crate::trace::{self, Direction};

/// The link to one ECR. When it breaks, the payment that runs over it goes on by itself: sending does nothing then, and
/// every answer is `Broken`.
pub(super) struct Conversation {
    pub terminal: Arc<Terminal>,
    link: Option<Link>,
    pub pace: Pace,
}

struct Link {
    line: Box<dyn Line>,
    cuts: watch::Receiver<u64>,
    /// The terminal has one link; the next ECR waits until this is dropped.
    _place: OwnedSemaphorePermit,
}

/// What the ECR said to a message of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Positive,
    Negative(u8),
    Silence,
    Broken,
}

/// What came while nothing was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing, to the end of the time.
    Nothing,
    /// 06 B0, unanswered.
    Abort,
}

enum Incoming {
    Message(Apdu),
    TimeUp,
    Broken,
}

impl Conversation {
    pub fn new(terminal: Arc<Terminal>, line: Box<dyn Line>, place: OwnedSemaphorePermit) -> Conversation {
        let cuts = terminal.cuts.subscribe();
        Conversation { terminal, link: Some(Link { line, cuts, _place: place }), pace: Pace::Whole }
    }

    /// Whether the link is up, as far as anybody has noticed.
    pub fn is_linked(&self) -> bool {
        self.link.is_some()
    }

    fn tells_its_end(&self) -> bool {
        self.link.as_ref().is_none_or(|link| link.line.tells_its_end())
    }

    /// Cuts the link.
    pub fn cut(&mut self) {
        self.link = None;
    }

    /// The next command, however long it takes. `None` when the link has ended.
    pub async fn next_command(&mut self) -> Option<Apdu> {
        loop {
            match self.incoming(None).await {
                Incoming::Message(apdu) if apdu.is_answer() => {
                    self.fault(format!("an answer that nobody waits for: {}", name(apdu.control())));
                }
                Incoming::Message(apdu) => {
                    self.terminal.memory().note_command(&apdu);
                    return Some(apdu);
                }
                Incoming::TimeUp | Incoming::Broken => return None,
            }
        }
    }

    /// Sends one message and waits for nothing.
    pub async fn say(&mut self, apdu: &Apdu) {
        self.say_all(std::slice::from_ref(apdu)).await;
    }

    /// Sends messages in one piece and waits for nothing.
    pub async fn say_all(&mut self, apdus: &[Apdu]) {
        for apdu in apdus.iter().filter(|_| self.is_linked()) {
            tracing::debug!("{}", trace::line(Direction::Pt, apdu));
        }
        let pace = self.pace;
        let patience = self.terminal.options.timing.patience;
        let sent = match &mut self.link {
            None => return,
            Some(Link { line, cuts, .. }) => unless_cut(cuts, Some(patience), line.send(apdus, pace)).await,
        };
        self.drop_unless_sent(sent);
    }

    /// Sends bytes that are no message.
    pub async fn say_bytes(&mut self, bytes: &[u8]) {
        let patience = self.terminal.options.timing.patience;
        let sent = match &mut self.link {
            None => return,
            Some(Link { line, cuts, .. }) => unless_cut(cuts, Some(patience), line.send_bytes(bytes)).await,
        };
        self.drop_unless_sent(sent);
    }

    /// Sends a message of our own and waits for its answer.
    pub async fn tell(&mut self, apdu: &Apdu) -> Answer {
        self.say(apdu).await;
        self.answer_to(apdu, self.terminal.options.timing.answer).await
    }

    /// Waits for the answer to a message of our own that was sent.
    pub async fn answer_to(&mut self, apdu: &Apdu, within: Duration) -> Answer {
        let until = Instant::now() + within;
        loop {
            match self.incoming(Some(until)).await {
                Incoming::Message(answer) if answer.is_answer() => return self.judge(apdu.control(), &answer),
                // 06 B0 may cross with a message of ours; by now it is too late for it.
                Incoming::Message(command) => self.refuse_meanwhile(&command).await,
                Incoming::TimeUp => {
                    self.fault(format!("no answer to {}", name(apdu.control())));
                    return Answer::Silence;
                }
                Incoming::Broken => return Answer::Broken,
            }
        }
    }

    /// Sends a message while an abort may come, which can cross with the answer.
    pub async fn tell_unless_aborted(&mut self, apdu: &Apdu) -> Heard {
        self.say(apdu).await;
        let until = Instant::now() + self.terminal.options.timing.answer;
        let mut heard = Heard::Nothing;
        loop {
            match self.incoming(Some(until)).await {
                Incoming::Message(answer) if answer.is_answer() => {
                    self.judge(apdu.control(), &answer);
                    return heard;
                }
                Incoming::Message(command) if command.control() == control::ABORT_BY_ECR => {
                    self.terminal.memory().note_command(&command);
                    heard = Heard::Abort;
                }
                Incoming::Message(command) => self.refuse_meanwhile(&command).await,
                Incoming::TimeUp => {
                    self.fault(format!("no answer to {}", name(apdu.control())));
                    return heard;
                }
                Incoming::Broken => return heard,
            }
        }
    }

    /// Lets time pass while an abort may come. Without a link, time passes all the same.
    pub async fn wait_for_abort(&mut self, duration: Duration) -> Heard {
        let until = Instant::now() + duration;
        loop {
            match self.incoming(Some(until)).await {
                Incoming::Message(command) if command.control() == control::ABORT_BY_ECR => {
                    self.terminal.memory().note_command(&command);
                    return Heard::Abort;
                }
                Incoming::Message(other) => self.refuse_meanwhile(&other).await,
                Incoming::TimeUp => return Heard::Nothing,
                Incoming::Broken => {
                    tokio::time::sleep_until(until).await;
                    return Heard::Nothing;
                }
            }
        }
    }

    /// Lets time pass while nothing can be stopped any more.
    pub async fn pause(&mut self, duration: Duration) {
        let until = Instant::now() + duration;
        loop {
            match self.incoming(Some(until)).await {
                Incoming::Message(message) => self.refuse_meanwhile(&message).await,
                Incoming::TimeUp => return,
                Incoming::Broken => return tokio::time::sleep_until(until).await,
            }
        }
    }

    /// Says nothing more, whatever comes, until the link ends or patience does; then the link is cut.
    pub async fn hang(&mut self) {
        let until = Instant::now() + self.terminal.options.timing.patience;
        while let Incoming::Message(message) = self.incoming(Some(until)).await {
            if !message.is_answer() {
                self.terminal.memory().note_command(&message);
            }
        }
        self.cut();
    }

    /// The wording of messages about that moment, or now.
    pub fn voice(&self, at_unix_ms: Option<u64>) -> Voice {
        Voice::new(&self.terminal.memory(), self.terminal.options.seed, at_unix_ms)
    }

    /// A message that cannot be built is a fault of the simulated terminal's settings; the ECR sees it as silence.
    pub fn built<T>(&self, message: Result<T, BmpError>) -> Option<T> {
        message.map_err(|error| self.fault(error.to_string())).ok()
    }

    /// Notes what the ECR should not have done.
    pub fn fault(&self, what: String) {
        self.terminal.memory().fault(what);
    }

    /// A command while we are master: 06 B0 comes too late, anything else should not have been sent at all. 05 01 may
    /// be asked, because an ECR has no other way to find out whether we still work.
    async fn refuse_meanwhile(&mut self, message: &Apdu) {
        if message.is_answer() {
            return self.fault(format!("an answer that nobody waits for: {}", name(message.control())));
        }
        self.terminal.memory().note_command(message);
        let code = match message.control() {
            control::ABORT_BY_ECR => 0x83,
            control::STATUS_ENQUIRY => 0x9C,
            // An ECR that begins anew on a line which cannot tell so.
            control::REGISTRATION if !self.tells_its_end() => 0xA0,
            other => {
                self.fault(format!("{} while the PT is master", name(other)));
                0xA0
            }
        };
        self.say(&negative(code)).await;
    }

    /// Exactly `80 00 00` is right. Only to some messages another answer has a meaning.
    fn judge(&self, to: ControlField, answer: &Apdu) -> Answer {
        let meant = match (to, answer.control()) {
            (_, control::POSITIVE) => *answer == positive(),
            (_, [_, 0x00]) => true,
            (control::STATUS_INFORMATION, _) => true,
            (control::PRINT_LINE | control::PRINT_BLOCK, [_, code]) => code == 0xCC,
            _ => false,
        };
        if !meant {
            let bytes = answer.data.len();
            self.fault(format!("{} answered by {} with {bytes} bytes", name(to), name(answer.control())));
        }
        match answer.control() {
            control::POSITIVE | [_, 0x00] => Answer::Positive,
            [_, code] => Answer::Negative(code),
        }
    }

    async fn incoming(&mut self, until: Option<Instant>) -> Incoming {
        let Some(Link { line, cuts, .. }) = &mut self.link else {
            return Incoming::Broken;
        };
        let heard = unless_cut(cuts, None, line.receive());
        let heard = match until {
            Some(until) => timeout_at(until, heard).await,
            None => Ok(heard.await),
        };
        match heard {
            Ok(Ok(apdu)) => {
                tracing::debug!("{}", trace::line(Direction::Ecr, &apdu));
                Incoming::Message(apdu)
            }
            Ok(Err(_)) => {
                self.cut();
                Incoming::Broken
            }
            Err(_) => Incoming::TimeUp,
        }
    }

    fn drop_unless_sent(&mut self, sent: io::Result<()>) {
        if sent.is_err() {
            self.cut();
        }
    }
}

/// Ends early, and with an error, when the link is cut from outside or the time is up.
async fn unless_cut<T>(
    cuts: &mut watch::Receiver<u64>,
    within: Option<Duration>,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let time_up = async {
        match within {
            Some(within) => tokio::time::sleep(within).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        done = work => done,
        _ = cuts.changed() => Err(io::ErrorKind::ConnectionAborted.into()),
        () = time_up => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// A control field as in the standard: `06 0F`.
pub(super) fn name([class, instruction]: ControlField) -> String {
    format!("{class:02X} {instruction:02X}")
}
