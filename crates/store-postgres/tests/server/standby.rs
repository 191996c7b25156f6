//! Servers that follow another, are promoted, or are asked by an administrator.

use super::Postgres;

impl Postgres {
    /// A server that follows this one, under its own name, started. Settings of this one are not taken over.
    pub fn standby(&self, name: &str) -> Self {
        let mut standby = Self::empty(name);
        let data = standby.data().display().to_string();
        let source = format!("host=127.0.0.1 port={} user=usher application_name={name}", self.port);
        let copied = standby.run("pg_basebackup").args(["-D", &data, "-d", &source, "-c", "fast", "-X", "stream", "-R"]).output().unwrap();
        assert!(copied.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&copied.stderr));
        standby.again();
        standby
    }

    /// Changes a setting, `name=value`, from the next start on.
    pub fn set(&mut self, setting: &str) {
        let name = setting.split('=').next().unwrap();
        self.settings.retain(|old| old.split('=').next() != Some(name));
        self.settings.push(setting.into());
    }

    /// Makes a primary of a standby.
    pub fn promote(&self) {
        let data = self.data().display().to_string();
        let done = self.run("pg_ctl").args(["promote", "-w", "-D", &data]).output().unwrap();
        assert!(done.status.success(), "pg_ctl promote: {}", String::from_utf8_lossy(&done.stdout));
    }

    /// What an administrator's statement answers: bare values, a row a line.
    pub fn ask(&self, statement: &str) -> String {
        let port = self.port.to_string();
        let out = self.run("psql").args(["-h", "127.0.0.1", "-p", &port, "-U", "usher", "-Atqc", statement, "usher"]).output().unwrap();
        assert!(out.status.success(), "{statement}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// Waits until a statement answers so.
    pub fn until(&self, statement: &str, answer: &str) {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while self.ask(statement) != answer {
            assert!(std::time::Instant::now() < until, "{statement}: still {}", self.ask(statement));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
