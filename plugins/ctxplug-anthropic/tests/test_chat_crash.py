"""A process that is killed in the middle of a tool: the next one goes on, and runs it no more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import anthropic
from ctxplug_anthropic import ChatReply, MemoryChat

from ctxplug.testing.model_server import ModelServer, Reply, ServedRequest

ASKED = "Pay the invoice, 谢谢。"


def hold(store: str, url: str, *, dies: bool) -> ChatReply:
    """Hold the turn; its tool notes that it ran, and then its process is killed."""

    def pay(amount: int) -> str:
        """Pay an invoice."""
        with open(f"{store}.paid", "a", encoding="utf-8") as file:
            file.write(f"{amount}\n")
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return "paid"

    client = anthropic.Anthropic(api_key="test", base_url=url)
    with client, MemoryChat(store, client, model="claude-sonnet-4-6", tools=[pay]) as chat:
        return chat.create_message("alice", "bills", ASKED)


def answer(request: ServedRequest) -> Reply:
    """Ask for the payment, and then tell what its result says."""
    last = request.messages[-1]["content"][0]
    if last["type"] != "tool_result":
        return Reply.tool_use(("pay", {"amount": 40}), thinking="Pay 40.")
    return Reply.text("It failed." if last.get("is_error") else "It is paid.")


def test_a_tool_whose_process_was_killed_is_not_run_again(tmp_path: Path) -> None:
    store = str(tmp_path / "agent.db")
    with ModelServer(answer) as server:
        command = [sys.executable, __file__, store, server.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == -signal.SIGKILL, done.stderr
        reply = hold(store, server.url, dies=False)
        assert [request.status for request in server.sent] == [200, 200]
    assert reply.text == "It failed."
    assert [message.role for message in reply.messages] == ["assistant"]
    assert Path(f"{store}.paid").read_text(encoding="utf-8") == "40\n"


if __name__ == "__main__":
    hold(sys.argv[1], sys.argv[2], dies=True)
