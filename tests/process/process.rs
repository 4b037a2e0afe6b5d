//! The binary as a child process.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use kit::mesh::{Answer, PASSWORD, Someone, answer, http_client};
use kit::wait;
use reqwest::{Method, RequestBuilder};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const POLL: Duration = Duration::from_millis(20);

/// Returns a command for the binary with these settings only.
pub(crate) fn mesh(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
    command.env_clear().envs(settings.iter().copied()).stdin(Stdio::null());
    command
}

/// A running mesh. It is killed when dropped.
pub(crate) struct Process {
    child: Child,
    output: Receiver<String>,
    /// Output of the mesh when it is ready.
    pub(crate) announcement: String,
    /// URL of the front.
    pub(crate) url: String,
    http: reqwest::Client,
}

impl Process {
    /// Starts a mesh on free ports, with its data in this directory.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// Starts a mesh with additional settings.
    pub(crate) fn start_with(data: &Path, more: &[(&str, &str)]) -> Self {
        Self::start_logging(data, more, Stdio::inherit())
    }

    /// Starts a mesh with additional settings, which writes its log here.
    pub(crate) fn start_logging(data: &Path, more: &[(&str, &str)], log: impl Into<Stdio>) -> Self {
        let settings = [
            ("MESH_LISTEN", "127.0.0.1:0"),
            ("MESH_SERVICES_PORT", "0"),
            ("MESH_DYNAMODB_PORT", "0"),
            ("MESH_DATA_DIR", data.to_str().expect("a path in UTF-8")),
            ("MESH_LOG", "warn"),
        ];
        let mut command = mesh(&[&settings, more].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the binary runs");
        let (sender, output) = channel();
        let lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut mesh = Self { child, output, announcement: String::new(), url: String::new(), http: http_client() };
        while !mesh.announcement.contains("demo --keep") {
            let line = mesh.output.recv_timeout(wait::TIMEOUT).expect("the mesh starts and says so");
            mesh.announcement.push_str(&line);
            mesh.announcement.push('\n');
        }
        mesh.url = mesh.announced("REST and gRPC").to_owned();
        mesh
    }

    /// Returns the value that the announcement shows under this name.
    pub(crate) fn announced(&self, name: &str) -> &str {
        let line = self.announcement.lines().find_map(|line| line.trim_start().strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.announcement)).trim()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Sends a signal and waits for the exit. Returns the status and the output until then.
    pub(crate) fn stop(self, signal: Signal) -> (ExitStatus, String) {
        self.send(signal);
        self.ended()
    }

    pub(crate) fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Waits for the exit. Returns the status and the output until then.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let status = wait::blocking("the process ends", || self.child.try_wait().expect("the state of the process"));
        (status, self.output.iter().collect::<Vec<_>>().join("\n"))
    }

    /// Returns a request to the front.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, token: Option<&str>, body: Option<Value>) -> Answer {
        let mut request = self.request(method, path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        answer(request).await
    }

    pub(crate) async fn login(&self, email: &str) -> Someone {
        let login = json!({"email": email, "password": PASSWORD});
        Someone::of(&self.ask(Method::POST, "/auth/login", None, Some(login)).await.expect(200))
    }

    /// Registers a person and logs in.
    pub(crate) async fn join(&self, email: &str, role: &str) -> Someone {
        let account = json!({"email": email, "password": PASSWORD, "role": role});
        self.ask(Method::POST, "/auth/register", None, Some(account)).await.expect(201);
        self.login(email).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the binary until it exits by itself.
pub(crate) fn run(mut command: Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    // The output fits into the pipes, so they are read after the exit.
    let started = Instant::now();
    while child.try_wait().expect("the state of the process").is_none() {
        if started.elapsed() > wait::TIMEOUT {
            let _ = child.kill();
            panic!("it does not end: {:?}", child.wait_with_output());
        }
        std::thread::sleep(POLL);
    }
    child.wait_with_output().expect("its output")
}
