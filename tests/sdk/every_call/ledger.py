"""Which operations of a client were called, and the cases that call each of them both ways."""

import inspect
import re


class Ledger:
    """Notes the operations that are called through the objects it hands out."""

    def __init__(self):
        self.called = set()

    def watch(self, target, name):
        """The same object, whose public methods are noted as `name.method` when they are called."""
        return Watched(target, name, self.called)


class Watched:
    def __init__(self, target, name, called):
        self._target, self._name, self._called = target, name, called

    def __getattr__(self, attribute):
        found = getattr(self._target, attribute)
        if attribute.startswith("_") or not callable(found):
            return found

        def call(*arguments, **options):
            self._called.add(f"{self._name}.{attribute}")
            return found(*arguments, **options)
        return call


def public_methods(kind):
    """The names of a class's own and inherited public methods."""
    return {name for name, found in inspect.getmembers(kind, callable) if not name.startswith("_")}


class Suite:
    """The cases of one client: for each operation a right call and a wrong one.

    `operations` is what the package has, `calls` maps an operation to (right, wrong), `left_out` to the reason why it is not tried.
    """

    def __init__(self, client, ledger, operations, calls, left_out=None):
        self.client, self.ledger, self.operations, self.calls, self.left_out = client, ledger, operations, calls, left_out or {}

    def cases(self):
        found = [(f"{self.client}: every public operation is tried or left out for a reason", self.is_complete)]
        for operation, (right, wrong) in self.calls.items():
            found.append((f"{self.client}: {operation}, right and wrong", lambda o=operation, r=right, w=wrong: self.both(o, r, w)))
        return found

    def is_complete(self):
        tried = set(self.calls)
        assert self.operations, "no operation was found: the package is built otherwise than this test believes"
        assert not (missing := self.operations - tried - set(self.left_out)), f"never called: {sorted(missing)}"
        assert not (strange := (tried | set(self.left_out)) - self.operations), f"the package has no such operation: {sorted(strange)}"
        assert not (twice := tried & set(self.left_out)), f"tried and left out: {sorted(twice)}"
        assert all(reason.strip() for reason in self.left_out.values())

    def both(self, operation, right, wrong):
        for what, work in (("right", right), ("wrong", wrong)):
            self.ledger.called.clear()
            work()
            assert operation in self.ledger.called, f"the {what} case called only {sorted(self.ledger.called)}"


def check_in_log(server, request_id, check):
    """The server's log must name the check that turned the request away."""
    assert request_id, "the refusal has no request ID"
    # A line may still be under way.
    import time
    for _ in range(50):
        lines = [line for line in server.log().splitlines() if request_id in line]
        if lines:
            break
        time.sleep(0.02)
    assert lines, f"the log has nothing of {request_id}"
    plain = re.sub(r"\x1b\[[0-9;]*m", "", lines[-1])
    assert re.search(rf'check"?[=:]\s*"?{re.escape(check)}\b', plain), f"not {check}: {plain}"
