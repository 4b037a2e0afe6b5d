//! Runs the whole mesh in one process, and its operator's commands.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use audit::Heads;
use chassis::{Platform, config};
use clap::{Parser, Subcommand};
use dynamo::secret::Secrets;
use kernel::{BoxError, ClientId, setting};
use mesh::search_index::{self, SearchIndex};
use mesh::{Config, Mesh, TABLES, demo, files, invocation, take_access_key, workload_issuer, workloads};

const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// The therapy-journaling mesh in one process: all services, the REST front, and an embedded DynamoDB.
///
/// Without a command it serves. Every setting is a flag and a variable.
#[derive(Debug, Parser)]
#[command(name = "mesh", version, max_term_width = 110, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    config: Config,

    #[command(flatten)]
    telemetry: telemetry::Config,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plays a story against a running mesh, and prints who calls, and every request and response. Its accounts are ended.
    Demo {
        /// URL of the mesh.
        #[arg(long, default_value = "http://127.0.0.1:8080", value_parser = demo::front_url)]
        url: String,

        /// Fill a sandbox instead, which stays, and print its logins: a client with half a year of entries, two
        /// therapists, sessions and messages.
        #[arg(long)]
        keep: bool,
    },

    /// Writes a token for each service or for other workloads, and the keys that verify them, for deployments without a
    /// cluster that issues them.
    WorkloadKeys {
        /// Names of the workloads; without any, the services and the front. What a name may call, the rules of the RPCs
        /// decide.
        #[arg(value_parser = workloads::name)]
        names: Vec<String>,

        /// The directory to write to: `<name>.token`, and `jwks.json`, where the keys of earlier runs are kept.
        #[arg(long)]
        dir: PathBuf,

        /// Replace tokens that are there. The old ones stay valid until they expire.
        #[arg(long)]
        force: bool,

        /// Validity of the tokens in days.
        #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
    },

    /// Prints a token that the all-in-one of a data directory accepts from the workload of that name.
    WorkloadToken {
        /// Name of the workload. What it may call, the rules of the RPCs decide.
        #[arg(value_parser = workloads::name)]
        name: String,

        #[command(flatten)]
        place: DataDir,

        /// The file with the secrets; by default `secrets` in the data directory.
        #[arg(long, env = "MESH_SECRETS_FILE")]
        secrets_file: Option<PathBuf>,

        /// Validity of the token.
        #[arg(long, default_value = "1h", value_parser = setting::duration)]
        life: Duration,
    },

    /// Creates the missing files that services in separate containers share: `secrets/secrets`,
    /// `key-encryption-keys/key-encryption-keys`, and for each service `workload/<service>/token` and `jwks.json`.
    Prepare {
        /// The directory to write to.
        #[arg(long)]
        dir: PathBuf,

        /// Make new tokens also for services that have one. The old ones stay valid until they expire.
        #[arg(long)]
        renew: bool,

        /// Validity of the tokens in days.
        #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
    },

    /// Creates the missing tables of all services, and verifies the existing ones.
    CreateTables {
        #[command(flatten)]
        dynamodb: dynamo::Config,

        #[command(flatten)]
        place: DataDir,
    },

    /// Rewraps every data key with the present key-encryption key, after a new one was added as the first of the file.
    /// Services may run meanwhile.
    RewrapKeys {
        #[command(flatten)]
        dynamodb: dynamo::Config,

        #[command(flatten)]
        place: DataDir,

        /// The file with the key-encryption keys; by default `key-encryption-keys` in the data directory.
        #[arg(long, env = "MESH_KEY_ENCRYPTION_KEYS_FILE")]
        key_encryption_keys_file: Option<PathBuf>,
    },

    /// Replaces the separate address of profiles stored by earlier versions by the address of their account, and
    /// removes the index of those addresses. Services may run meanwhile; run it once after the last replica of an
    /// earlier version has stopped, and again if it was interrupted.
    MigrateProfiles {
        #[command(flatten)]
        dynamodb: dynamo::Config,

        #[command(flatten)]
        place: DataDir,
    },

    /// Moves addresses stored by earlier versions to the form by which they are compared now, in which all spellings of
    /// one address are one. Names the accounts that have one address in two spellings, and leaves both as they are.
    /// Services may run meanwhile; run it once after the last replica of an earlier version has stopped, and again if it
    /// was interrupted.
    RekeyAddresses {
        #[command(flatten)]
        dynamodb: dynamo::Config,

        #[command(flatten)]
        place: DataDir,
    },

    /// Makes the search index agree with the texts that journals and sessions hold, also those that were stored before
    /// there was an index, and makes it independent of older secrets. Services may run meanwhile, and an interrupted run
    /// may be repeated.
    RebuildSearch(SearchIndexArgs),

    /// Compares the search index with the texts that journals and sessions hold, and names each difference. Services may
    /// run meanwhile.
    CheckSearch(SearchIndexArgs),

    /// Verifies the log of accesses to journals, and names the first record of each client that was altered, dropped,
    /// reordered or cut off.
    VerifyAudit {
        #[command(flatten)]
        dynamodb: dynamo::Config,

        #[command(flatten)]
        place: DataDir,

        /// The file with the secrets; by default `secrets` in the data directory.
        #[arg(long, env = "MESH_SECRETS_FILE")]
        secrets_file: Option<PathBuf>,

        /// One client alone, by id.
        #[arg(long)]
        client: Option<ClientId>,

        /// A file that keeps the ends of the logs from one verification to the next, created by the first. Stored out
        /// of reach of the table's writers, it reveals a log that was rolled back.
        #[arg(long)]
        heads: Option<PathBuf>,
    },
}

#[derive(Debug, clap::Args)]
#[group(skip)]
struct SearchIndexArgs {
    #[command(flatten)]
    dynamodb: dynamo::Config,

    #[command(flatten)]
    place: DataDir,

    /// The file with the secrets; by default `secrets` in the data directory.
    #[arg(long, env = "MESH_SECRETS_FILE")]
    secrets_file: Option<PathBuf>,

    /// The file with the key-encryption keys; by default `key-encryption-keys` in the data directory.
    #[arg(long, env = "MESH_KEY_ENCRYPTION_KEYS_FILE")]
    key_encryption_keys_file: Option<PathBuf>,

    /// Maximum texts that are compared in a second. Texts are read at this pace too; what the index has of a person is
    /// read before, without a limit.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
}

/// The directory of the all-in-one's secrets, and of the access key of its DynamoDB while it runs.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct DataDir {
    /// The data directory of the mesh.
    #[arg(long, env = "MESH_DATA_DIR", default_value = "therapy-data")]
    data_dir: PathBuf,
}

impl DataDir {
    /// Reads the secrets of the named file, or of the default file in the data directory.
    fn secrets(&self, named: Option<PathBuf>, default_name: &str, setting: &str) -> Result<Secrets, BoxError> {
        let file = named.unwrap_or_else(|| self.data_dir.join(default_name));
        bootstrap::read_secrets(&file).map_err(|error| format!("{error}; set {setting} or MESH_DATA_DIR").into())
    }

    /// Returns a client of the DynamoDB of a running mesh, or of another.
    async fn connect(&self, mut dynamodb: dynamo::Config) -> Result<dynamo::Client, BoxError> {
        take_access_key(&mut dynamodb, &self.data_dir)?;
        Ok(dynamodb.connect(Platform::system().entropy).await)
    }
}

// A request makes hundreds of small allocations: with the C library's allocator, an eighth of a front's work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { command, config, telemetry } = config::read::<Cli>();
    let done = match command {
        None => serve(config, &telemetry).await,
        Some(Command::Demo { url, keep }) => {
            let Platform { clock, entropy, .. } = Platform::system();
            if keep { demo::keep(&url, &*clock, &*entropy).await } else { demo::play(&url, &*clock, &*entropy).await }
        }
        Some(Command::WorkloadKeys { names, dir, force, days }) => write_workload_keys(&names, &dir, force, days),
        Some(Command::WorkloadToken { name, place, secrets_file, life }) => {
            workload_token(&name, &place, secrets_file, life)
        }
        Some(Command::Prepare { dir, renew, days }) => prepare(&dir, renew, days),
        Some(Command::CreateTables { dynamodb, place }) => {
            Box::pin(logged(&telemetry, create_tables(dynamodb, &place))).await
        }
        Some(Command::RewrapKeys { dynamodb, place, key_encryption_keys_file }) => {
            Box::pin(logged(&telemetry, rewrap_keys(dynamodb, &place, key_encryption_keys_file))).await
        }
        Some(Command::MigrateProfiles { dynamodb, place }) => {
            Box::pin(logged(&telemetry, migrate_profiles(dynamodb, &place))).await
        }
        Some(Command::RekeyAddresses { dynamodb, place }) => {
            Box::pin(logged(&telemetry, rekey_addresses(dynamodb, &place))).await
        }
        Some(Command::RebuildSearch(args)) => Box::pin(logged(&telemetry, rebuild_search(args))).await,
        Some(Command::CheckSearch(args)) => Box::pin(logged(&telemetry, check_search(args))).await,
        Some(Command::VerifyAudit { dynamodb, place, secrets_file, client, heads }) => {
            let verified = verify_audit(dynamodb, &place, secrets_file, client, heads.as_deref());
            Box::pin(logged(&telemetry, verified)).await
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            bootstrap::report_error("mesh", &*error);
            ExitCode::FAILURE
        }
    }
}

async fn serve(mut config: Config, telemetry: &telemetry::Config) -> Result<(), BoxError> {
    // Files that the process creates, the database too, are accessible to its owner only.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let telemetry = telemetry::init("therapy-mesh", telemetry)?;
    let storage = config.storage.clone();
    config.front.allow_pages_of_this_machine(config.listen);
    let pages = pages(&config);
    let mesh = Mesh::start(config, Platform::system()).await?;
    let data = if storage.memory { "in memory, gone at the end".to_owned() } else { absolute(&storage.data_dir) };
    let shutdown_signal = bootstrap::shutdown_signal()?;
    say(&announcement(&mesh, &data, &pages))?;

    shutdown_signal.await;
    say("stopping: the requests under way may end")?;
    let well = mesh.shutdown().await;
    telemetry.shutdown(FLUSH_TIMEOUT).await;
    if well { say("stopped") } else { Err("some requests or tasks did not end in time".into()) }
}

/// Returns the end of a sentence about the pages that may call from a browser.
fn pages(config: &Config) -> String {
    let origins = config.front.cors_origins.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if origins.is_empty() {
        "of other sites may not call; MESH_CORS_ORIGINS allows some".to_owned()
    } else {
        format!("of {origins} may call; MESH_CORS_ORIGINS sets which")
    }
}

fn announcement(mesh: &Mesh, data: &str, pages: &str) -> String {
    let services = mesh.services().map(|(name, address)| format!("{name} {address}")).collect::<Vec<_>>().join(", ");
    let front = format!("http://{}", mesh.address());
    format!(
        "The mesh is up. Ctrl-C stops it.
  REST and gRPC  {front}
  docs           {front}/docs
  services       {services}
  DynamoDB       {dynamodb}
  data           {data}
  browser pages  {pages}
  try            {story}
                 {sandbox}",
        dynamodb = mesh.dynamodb(),
        story = invocation::with(&format!("demo --url {front}         # plays a story, request by request")),
        sandbox = invocation::with(&format!("demo --keep --url {front}  # fills a sandbox, and prints its logins")),
    )
}

fn absolute(path: &Path) -> String {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

fn write_workload_keys(names: &[String], dir: &Path, force: bool, days: u32) -> Result<(), BoxError> {
    let written = workloads::write_keys(names, dir, force, days)?;
    say(&format!("wrote jwks.json and a token for each of {} to {}", written.join(", "), dir.display()))
}

fn prepare(dir: &Path, renew: bool, days: u32) -> Result<(), BoxError> {
    let Platform { entropy, .. } = Platform::system();
    for name in ["secrets", "key-encryption-keys"] {
        let place = dir.join(name);
        files::make(&place)?;
        bootstrap::make_secrets(&place.join(name), &*entropy)?;
    }
    workloads::prepare(&dir.join("workload"), renew, days)?;
    say(&format!("{} holds what services share", dir.display()))
}

fn workload_token(name: &str, place: &DataDir, file: Option<PathBuf>, life: Duration) -> Result<(), BoxError> {
    let secrets = place.secrets(file, "secrets", "MESH_SECRETS_FILE")?;
    say(&workload_issuer(&secrets, &Platform::system())?.mint(name, life))
}

async fn create_tables(dynamodb: dynamo::Config, place: &DataDir) -> Result<(), BoxError> {
    place.connect(dynamodb).await?.create_or_verify(TABLES).await?;
    let names = TABLES.iter().map(|def| def.name).collect::<Vec<_>>().join(", ");
    say(&format!("the tables are as they must be: {names}"))
}

async fn rewrap_keys(dynamodb: dynamo::Config, place: &DataDir, file: Option<PathBuf>) -> Result<(), BoxError> {
    let keys = place.secrets(file, "key-encryption-keys", "MESH_KEY_ENCRYPTION_KEYS_FILE")?;
    let dynamodb = place.connect(dynamodb).await?;
    let tell = |progress: vault::Progress| drop(say(&progress.to_string()));
    let progress = vault::rewrap(&dynamodb, &keys, &Platform::system(), tell).await?;
    say(&format!("done: {progress}"))
}

async fn migrate_profiles(dynamodb: dynamo::Config, place: &DataDir) -> Result<(), BoxError> {
    let dynamodb = place.connect(dynamodb).await?;
    let addresses = auth::Addresses::new(&dynamodb);
    let of_clients =
        clients::migrate(&dynamodb, |user| addresses.of(user), |progress| drop(say(&progress.to_string())));
    let clients = of_clients.await?;
    let of_therapists =
        therapists::migrate(&dynamodb, |user| addresses.of(user), |progress| drop(say(&progress.to_string())));
    let therapists = of_therapists.await?;
    say(&format!("done: {clients}; {therapists}"))
}

async fn rekey_addresses(dynamodb: dynamo::Config, place: &DataDir) -> Result<(), BoxError> {
    let dynamodb = place.connect(dynamodb).await?;
    let (progress, collisions) = auth::rekey_addresses(&dynamodb, |progress| drop(say(&progress.to_string()))).await?;
    for collision in &collisions {
        say(&collision.to_string())?;
    }
    say(&format!("done: {progress}"))?;
    if collisions.is_empty() { Ok(()) } else { Err("some accounts have one address in two spellings".into()) }
}

async fn open_search_index(args: SearchIndexArgs) -> Result<SearchIndex, BoxError> {
    let SearchIndexArgs { dynamodb, place, secrets_file, key_encryption_keys_file, rate } = args;
    let secrets = place.secrets(secrets_file, "secrets", "MESH_SECRETS_FILE")?;
    let keys = place.secrets(key_encryption_keys_file, "key-encryption-keys", "MESH_KEY_ENCRYPTION_KEYS_FILE")?;
    SearchIndex::open(&place.connect(dynamodb).await?, &secrets, &keys, rate, &Platform::system()).await
}

/// Runs a command with a log, as the services have one: it says why the command failed in part.
async fn logged(
    telemetry: &telemetry::Config,
    command: impl Future<Output = Result<(), BoxError>>,
) -> Result<(), BoxError> {
    let telemetry = telemetry::init("therapy-mesh", telemetry)?;
    let done = command.await;
    telemetry.shutdown(FLUSH_TIMEOUT).await;
    done
}

async fn rebuild_search(args: SearchIndexArgs) -> Result<(), BoxError> {
    let tell = |progress: search_index::Progress| drop(say(&progress.to_string()));
    let done = open_search_index(args).await?.rebuild(tell).await?;
    say(&format!("done, the differences are mended: {done}"))?;
    refuse_failures(done)
}

async fn check_search(args: SearchIndexArgs) -> Result<(), BoxError> {
    let tell = |progress: search_index::Progress| drop(say(&progress.to_string()));
    let (done, findings) = open_search_index(args).await?.check(tell).await?;
    for finding in &findings {
        say(&finding.to_string())?;
    }
    say(&format!("done: {done}"))?;
    refuse_failures(done)?;
    if findings.is_empty() { Ok(()) } else { Err("the index differs from the texts: run mesh rebuild-search".into()) }
}

fn refuse_failures(search_index::Progress { failed, .. }: search_index::Progress) -> Result<(), BoxError> {
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} people failed: the log says why; run it again when that is mended").into()),
    }
}

async fn verify_audit(
    dynamodb: dynamo::Config,
    place: &DataDir,
    file: Option<PathBuf>,
    client: Option<ClientId>,
    heads: Option<&Path>,
) -> Result<(), BoxError> {
    let secrets = place.secrets(file, "secrets", "MESH_SECRETS_FILE")?;
    let known = heads.map(read_heads).transpose()?.unwrap_or_default();
    let mut now = known.clone();
    let note = |chain: &audit::Chain| now.note(chain);
    let report = audit::verify(&place.connect(dynamodb).await?, &secrets, client, &known, note).await?;
    say(&report.to_string())?;
    if !report.is_sound() {
        return Err("the log of accesses was tampered with".into());
    }
    heads.map_or(Ok(()), |file| files::write_whole(file, &now.to_string()))
}

/// Reads the heads kept by an earlier verification: none before the first.
fn read_heads(file: &Path) -> Result<Heads, BoxError> {
    let text = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read.map_err(|error| format!("{}: {error}", file.display()))?,
    };
    text.parse().map_err(|error| format!("{}: {error}", file.display()).into())
}

fn say(text: &str) -> Result<(), BoxError> {
    writeln!(std::io::stdout(), "{text}").map_err(Into::into)
}
