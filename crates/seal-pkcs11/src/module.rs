//! PKCS#11 libraries, each loaded and initialised once in a process (PKCS#11 2.40 section 5.4), however many keys are in its tokens.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
};

use crate::{TokenError, error::failed};

/// A loaded library. Calls are made one at a time, since finishing it under another thread's call is undefined.
pub(crate) struct Module {
    path: PathBuf,
    library: Mutex<Option<Pkcs11>>,
}

/// The library, held while calls are made to it.
pub(crate) type Held<'a> = MutexGuard<'a, Option<Pkcs11>>;

impl Module {
    /// The library of this path, the same for everyone who asks.
    pub fn of(path: &Path) -> Arc<Self> {
        static LOADED: OnceLock<Mutex<HashMap<PathBuf, Arc<Module>>>> = OnceLock::new();
        let mut loaded = LOADED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Arc::new(Self { path: path.to_owned(), library: Mutex::default() });
        Arc::clone(loaded.entry(path.to_owned()).or_insert_with(made))
    }

    pub fn hold(&self) -> Held<'_> {
        self.library.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The library, loaded and initialised where it is not yet.
    pub fn loaded<'a>(&self, held: &'a mut Held<'_>) -> Result<&'a Pkcs11, TokenError> {
        let library = match held.take() {
            Some(library) => library,
            None => self.load()?,
        };
        Ok(held.insert(library))
    }

    fn load(&self) -> Result<Pkcs11, TokenError> {
        let library = Pkcs11::new(&self.path).map_err(|error| TokenError::Module { path: self.path.clone(), why: error.to_string() })?;
        match library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(library),
            Err(error) => Err(failed("initialising the module")(error)),
        }
    }

    /// Finishes the library, so that the next use initialises it anew: some see tokens that came back only then. Sessions of others end;
    /// they open new ones.
    pub fn reset(&self, held: &mut Held<'_>) {
        if let Some(library) = held.take() {
            // What it says does not matter: it is initialised again, or fails then.
            let _ = library.finalize();
        }
    }
}
