"""A software TPM that Azure's SDKs can talk to: swtpm behind the framing of Microsoft's TPM simulator, which tss.js speaks."""

import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

from server import wait_for_ports

# tss.js connects to these two: commands, and the simulator's power switch.
COMMAND_PORT, PLATFORM_PORT = 2321, 2322

SEND_COMMAND, HANDSHAKE, END = 8, 15, 20


class Tpm:
    """Runs until it is stopped."""

    def __init__(self):
        wait_for_ports((COMMAND_PORT, PLATFORM_PORT))
        # Free ports, not fixed ones: a software TPM that another run left behind must not answer in this one's place.
        self.port, control_port = free_port(), free_port()
        self.folder = tempfile.mkdtemp(prefix="usher-tpm-")
        subprocess.run(["swtpm_setup", "--tpm2", "--tpmstate", self.folder, "--lock-nvram", "--overwrite"], check=True, capture_output=True)
        self.process = subprocess.Popen([
            "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}", "--flags", "not-need-init,startup-clear",
            "--server", f"type=tcp,port={self.port},bindaddr=127.0.0.1,disconnect",
            "--ctrl", f"type=tcp,port={control_port},bindaddr=127.0.0.1"])
        self.one_at_a_time, self.listeners = threading.Lock(), []
        try:
            self.wait_until_up()
            for port, serve in ((COMMAND_PORT, self.commands), (PLATFORM_PORT, self.platform)):
                self.listeners.append(self.listen(port, serve))
        except BaseException:
            self.stop()
            raise

    def wait_until_up(self):
        for _ in range(100):
            if self.process.poll() is not None:
                raise RuntimeError(f"swtpm ended with {self.process.returncode}")
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("swtpm did not start")

    def stop(self):
        for listener in self.listeners:
            # Closing alone leaves the port taken while a thread waits in accept.
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def listen(self, port, serve):
        listener = socket.create_server(("127.0.0.1", port))

        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=self.guarded, args=(serve, connection), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return listener

    @staticmethod
    def guarded(serve, connection):
        with connection:
            try:
                serve(connection)
            except OSError:
                pass

    def commands(self, connection):
        while (code := number(connection)) != END:
            if code == HANDSHAKE:
                number(connection)
                # Version 1; platform and physical presence available; done.
                connection.sendall(struct.pack(">III", 1, 9, 0))
            elif code == SEND_COMMAND:
                read(connection, 1)
                answer = self.run(read(connection, number(connection)))
                connection.sendall(struct.pack(">I", len(answer)) + answer + struct.pack(">I", 0))
            else:
                connection.sendall(struct.pack(">I", 0))

    @staticmethod
    def platform(connection):
        # Power and non-volatile memory are on already.
        while number(connection) != END:
            connection.sendall(struct.pack(">I", 0))

    def run(self, command):
        """One command, one connection: swtpm serves one client at a time."""
        with self.one_at_a_time, socket.create_connection(("127.0.0.1", self.port)) as swtpm:
            swtpm.sendall(command)
            head = read(swtpm, 10)
            return head + read(swtpm, struct.unpack(">I", head[2:6])[0] - 10)


def read(connection, count):
    data = b""
    while len(data) < count:
        chunk = connection.recv(count - len(data))
        if not chunk:
            raise OSError("closed")
        data += chunk
    return data


def number(connection):
    return struct.unpack(">I", read(connection, 4))[0]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
