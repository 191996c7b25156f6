//! The one thread that talks to a token: questions come in by a queue, answers are waited for with a time-out. A library that never
//! answers costs this thread, and nobody else.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel},
    },
    thread,
    time::Duration,
};

use crate::{TokenError, TokenSettings, connection::Connection, module::Module};

/// Longest wait for an answer. Network modules take some milliseconds; one that fails over takes seconds.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Questions that wait. There is one for each tenant that is opened or wrapped; more at once than this is a stuck token.
const QUEUE_MAX: usize = 64;

/// What a token is asked.
pub(crate) enum Question {
    /// What tells the key from others.
    Identity,
    /// Whether what the key wraps it unwraps.
    Trial,
    Wrap {
        place: Vec<u8>,
        key: Vec<u8>,
    },
    Unwrap {
        place: Vec<u8>,
        wrapped: Vec<u8>,
    },
}

type Answer = Result<Vec<u8>, TokenError>;

/// The way to the thread.
pub(crate) struct Worker(SyncSender<(Question, Sender<Answer>)>);

impl Worker {
    pub fn start(settings: TokenSettings) -> Result<Self, TokenError> {
        let (ask, asked) = sync_channel(QUEUE_MAX);
        let module = Module::of(&settings.module);
        let desk = Desk { module, settings, open: None, refused: None };
        let started = thread::Builder::new().name("usher-token".into()).spawn(move || desk.serve(&asked));
        started.map_err(|error| TokenError::Failed { step: "starting a thread", why: error.to_string() })?;
        Ok(Self(ask))
    }

    /// Blocks for [`ANSWER_MAX`] at most.
    pub fn ask(&self, question: Question) -> Answer {
        let (answer, answered) = channel();
        self.0.try_send((question, answer)).map_err(|error| match error {
            TrySendError::Full(_) => TokenError::Busy,
            TrySendError::Disconnected(_) => TokenError::Failed { step: "asking the token", why: "its thread has ended".into() },
        })?;
        answered.recv_timeout(ANSWER_MAX).unwrap_or(Err(TokenError::TimedOut(ANSWER_MAX)))
    }
}

struct Desk {
    module: Arc<Module>,
    settings: TokenSettings,
    open: Option<Connection>,
    /// A PIN that was refused once.
    refused: Option<TokenError>,
}

impl Desk {
    fn serve(mut self, asked: &Receiver<(Question, Sender<Answer>)>) {
        while let Ok((question, answer)) = asked.recv() {
            // Who asked may have given up; nothing is lost, since nothing was changed.
            let _ = answer.send(self.answer(&question));
        }
        let _held = self.module.hold();
        self.open = None;
    }

    /// By the open session; where that fails by a new one, and where that fails too by the library initialised anew.
    fn answer(&mut self, question: &Question) -> Answer {
        let module = Arc::clone(&self.module);
        let mut held = module.hold();
        let mut outcome = self.once(&module, &mut held, question);
        for reset in [false, true] {
            if !outcome.as_ref().is_err_and(TokenError::may_pass) {
                break;
            }
            self.open = None;
            if reset {
                module.reset(&mut held);
            }
            outcome = self.once(&module, &mut held, question);
        }
        outcome
    }

    fn once(&mut self, module: &Module, held: &mut crate::module::Held<'_>, question: &Question) -> Answer {
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => Connection::open(module.loaded(held)?, &self.settings).inspect_err(|error| {
                if matches!(error, TokenError::PinRefused { .. }) {
                    self.refused = Some(error.clone());
                }
            })?,
        };
        let open = self.open.insert(open);
        match question {
            Question::Identity => Ok(open.identity.clone()),
            Question::Trial if open.works() => Ok(Vec::new()),
            Question::Trial => {
                let why = "the token does not unwrap with it what it wrapped".into();
                Err(TokenError::Unfit { label: self.settings.key.clone(), why })
            }
            Question::Wrap { place, key } => open.wrap(place, key),
            // Some modules, SoftHSM among them, have one word for a wrong tag and for a failure of their own: one that works meant the tag.
            Question::Unwrap { place, wrapped } => open.unwrap(place, wrapped).map_err(|error| match error {
                TokenError::Failed { .. } if open.works() => TokenError::NotAuthentic,
                other => other,
            }),
        }
    }
}
