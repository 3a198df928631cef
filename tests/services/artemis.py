"""A private ActiveMQ Artemis for tests, an AMQP 1.0 broker, on free ports of 127.0.0.1, from the jars of Maven Central.

  with Artemis() as server:
      server.environment()       variables for the unit tests

  python3 tests/services/artemis.py run        starts one, prints its variables, ends it when interrupted
  python3 tests/services/artemis.py start      leaves one running and prints its variables
  python3 tests/services/artemis.py stop|kill|restart|environment

The jars are fetched once, into .cache/services. Users: guest (password guest, all rights), reader (password reader, may send
and receive but not create queues).
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
if __name__ == "__main__":
    # The folder of this file would hide Python packages of the same names.
    sys.path[0] = str(ROOT)

from tests.services import service_support as support  # noqa: E402

POM = pathlib.Path(__file__).resolve().parent / "artemis" / "pom.xml"
START_SECONDS = 120

BOOTSTRAP = """\
<broker xmlns="http://activemq.apache.org/schema">
  <jaas-security domain="tests"/>
  <server configuration="file:{folder}/etc/broker.xml"/>
</broker>
"""

LOGIN = """\
tests {
  org.apache.activemq.artemis.spi.core.security.jaas.PropertiesLoginModule required
    org.apache.activemq.jaas.properties.user="users.properties"
    org.apache.activemq.jaas.properties.role="roles.properties";
};
"""

# Queues are made by those who use them, and remain. What is given back comes again at once and without limit.
BROKER = """\
<configuration xmlns="urn:activemq">
  <core xmlns="urn:activemq:core">
    <name>tests</name>
    <journal-type>NIO</journal-type>
    <journal-directory>{folder}/data/journal</journal-directory>
    <bindings-directory>{folder}/data/bindings</bindings-directory>
    <large-messages-directory>{folder}/data/large</large-messages-directory>
    <paging-directory>{folder}/data/paging</paging-directory>
    <journal-file-size>1M</journal-file-size>
    <journal-min-files>2</journal-min-files>
    <critical-analyzer>false</critical-analyzer>
    <max-disk-usage>100</max-disk-usage>
    <acceptors>
      <acceptor name="amqp">tcp://127.0.0.1:{amqp}?protocols=AMQP</acceptor>
      <acceptor name="amqps">tcp://127.0.0.1:{amqps}?protocols=AMQP;sslEnabled=true;keyStoreType=PEM;keyStorePath={folder}/certificates/server-all.pem</acceptor>
    </acceptors>
    <security-settings>
      <security-setting match="#">
        <permission type="createAddress" roles="all"/>
        <permission type="deleteAddress" roles="all"/>
        <permission type="createNonDurableQueue" roles="all"/>
        <permission type="deleteNonDurableQueue" roles="all"/>
        <permission type="createDurableQueue" roles="all"/>
        <permission type="deleteDurableQueue" roles="all"/>
        <permission type="manage" roles="all"/>
        <permission type="send" roles="all,readers"/>
        <permission type="consume" roles="all,readers"/>
        <permission type="browse" roles="all,readers"/>
      </security-setting>
    </security-settings>
    <address-settings>
      <address-setting match="#">
        <max-delivery-attempts>-1</max-delivery-attempts>
        <auto-delete-queues>false</auto-delete-queues>
        <auto-delete-addresses>false</auto-delete-addresses>
      </address-setting>
    </address-settings>
  </core>
</configuration>
"""


def install():
    """The folder of the jars, fetched if it is not there."""
    jars = support.CACHE / f"artemis-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if jars.is_dir():
        return jars
    support.CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=support.CACHE) as fetched:
        command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime",
                   f"-DoutputDirectory={fetched}/lib"]
        process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if process.returncode != 0:
            raise support.ServiceError(f"maven could not fetch Artemis:\n{process.stdout[-3000:]}")
        try:
            os.rename(f"{fetched}/lib", jars)
        except OSError:
            # Somebody else was faster.
            if not jars.is_dir():
                raise
    return jars


class Artemis(support.Server):
    """Starts in __enter__ (or start()), ends and leaves nothing in __exit__ (or stop())."""

    name = "artemis"
    module = pathlib.Path(__file__).resolve()

    def missing(self):
        """What keeps it from being started, or None."""
        absent = [program for program in ("java", "mvn") if shutil.which(program) is None]
        return f"not installed: {', '.join(absent)}" if absent else None

    def environment(self):
        state = self.state()
        return {
            "CAPI_TEST_ARTEMIS": f"amqp://guest:guest@127.0.0.1:{state['amqp']}",
            "CAPI_TEST_ARTEMIS_TLS": f"amqps://guest:guest@localhost:{state['amqps']}",
            "CAPI_TEST_ARTEMIS_CERTIFICATES": str(self.folder / "certificates"),
            "CAPI_TEST_ARTEMIS_CONTROL": self.control_command(),
        }

    def _prepare(self):
        amqp, amqps = support.free_ports(2)
        certificates = self.folder / "certificates"
        support.make_certificates(certificates)
        (certificates / "server-all.pem").write_text((certificates / "server.key").read_text() + (certificates / "server.pem").read_text())
        for name in ("etc", "data"):
            (self.folder / name).mkdir()
        files = {
            "bootstrap.xml": BOOTSTRAP.format(folder=self.folder),
            "broker.xml": BROKER.format(folder=self.folder, amqp=amqp, amqps=amqps),
            "management.xml": '<management-context xmlns="http://activemq.apache.org/schema"/>\n',
            "login.config": LOGIN,
            "users.properties": "guest=guest\nreader=reader\n",
            "roles.properties": "all=guest\nreaders=reader\n",
        }
        for name, text in files.items():
            (self.folder / "etc" / name).write_text(text)
        return {"amqp": amqp, "amqps": amqps}

    def _start_processes(self, state):
        folder = self.folder
        self.spawn("server", [
            "java", "-Xms64m", "-Xmx256m",
            # Quick to start and small; these servers live for minutes.
            "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xss384k", "-XX:ReservedCodeCacheSize=64m",
            f"-Dartemis.home={folder}", f"-Dartemis.instance={folder}", f"-Dartemis.instance.etc={folder}/etc",
            f"-Ddata.dir={folder}/data", f"-Djava.security.auth.login.config={folder}/etc/login.config",
            "-cp", f"{install()}/*", "org.apache.activemq.artemis.cli.Artemis", "run",
        ])
        self.wait_until(lambda: support.listens(state["amqp"]) and support.listens(state["amqps"]), START_SECONDS, "server")


def main():
    return support.run_command(Artemis, support.command_parser(__doc__, Artemis).parse_args())


if __name__ == "__main__":
    sys.exit(main())
