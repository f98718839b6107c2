"""Which messages of a conversation are in view: edits are entries of the log, and lose nothing."""

import threading
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxplug import AgentMemory, Message
from ctxplug.errors import ConflictError, EmptyContextError, InvalidValueError, NotFoundError

KINDS = ("memory", "sqlite")


def opened(kind: str, folder: Path, session: str = "trip", **options: object) -> AgentMemory:
    target = "memory:" if kind == "memory" else folder / "agent.db"
    return AgentMemory.open(target, namespace="acme", session=session, **options)  # type: ignore[arg-type]


@pytest.fixture(params=KINDS)
def memory(request: pytest.FixtureRequest, tmp_path: Path):
    with opened(request.param, tmp_path) as memory:
        yield memory


def fill(memory: AgentMemory, turns: int, text: str = "Message {} about Lisbon, 里斯本") -> None:
    roles = ("user", "assistant")
    memory.extend(Message(roles[i % 2], text.format(i)) for i in range(2 * turns))


def said(messages) -> list[str]:
    return [message.text for message in messages]


def test_what_is_kept_goes_on_with_what_is_added(memory: AgentMemory) -> None:
    fill(memory, 2)
    versions = [logged.version for logged in memory.session.log()]
    stored = memory.session.keep(versions[:2], [Message("user", "再见")])
    memory.add("assistant", "Bye")
    assert said(stored) == ["再见"]
    wanted = [*(f"Message {i} about Lisbon, 里斯本" for i in (0, 1)), "再见", "Bye"]
    assert said(memory.messages()) == wanted
    assert said(logged.message for logged in memory.session.log()) == wanted
    assert said(memory.messages(last=3)) == wanted[-3:]
    assert said(memory.context().messages) == wanted


def test_nothing_leaves_the_log(memory: AgentMemory) -> None:
    fill(memory, 2)
    memory.session.keep(())
    assert memory.messages() == []
    everything = [logged.message for logged in memory.session.log(kept=False)]
    assert len(everything) == 4
    assert memory.original("@1-4") == tuple(everything)
    with pytest.raises(EmptyContextError):
        memory.context()


def test_an_agent_cannot_expand_what_was_removed(memory: AgentMemory) -> None:
    fill(memory, 2)
    memory.session.keep([1, 4])
    assert "Message 0" in memory.expand("@1-4")
    assert "Message 1 " not in memory.expand("@1-4")
    with pytest.raises(NotFoundError):
        memory.expand("@2")


def test_what_leaves_the_view_is_not_recalled_unless_asked(memory: AgentMemory) -> None:
    memory.add("user", "The violin is in the attic")
    memory.add("user", "小提琴在阁楼里")
    memory.session.keep((), recallable=True)
    assert memory.recall("violin") and memory.recall("小提琴")
    memory.add("user", "The cello is in the cellar")
    memory.session.keep([])
    assert not memory.recall("cello")


def test_a_kept_message_can_be_brought_back_only_while_it_is_in_view(memory: AgentMemory) -> None:
    fill(memory, 2)
    memory.session.keep([1, 2])
    with pytest.raises(InvalidValueError, match="Version 3 "):
        memory.session.keep([1, 3])
    for wrong in ([2, 1], [1, 1], [0], [True], ["1"]):
        with pytest.raises(InvalidValueError):
            memory.session.keep(wrong)
    assert len(memory.messages()) == 2


def test_an_expected_head_that_has_moved_is_a_conflict(memory: AgentMemory) -> None:
    fill(memory, 1)
    head = memory.session.head
    memory.add("user", "Wait")
    with pytest.raises(ConflictError) as raised:
        memory.session.keep([1], expected=head)
    assert (raised.value.expected, raised.value.found) == (head, head + 1)
    assert len(memory.messages()) == 3


def test_the_note_of_the_newest_edit_is_told(memory: AgentMemory) -> None:
    fill(memory, 1)
    assert memory.session.note == {}
    memory.session.keep([1], note={"由": "编辑"})
    assert memory.session.note == {"由": "编辑"}
    memory.session.keep([1])
    assert memory.session.note == {}


async def test_the_twins_do_the_same(memory: AgentMemory) -> None:
    fill(memory, 1)
    assert said(await memory.session.akeep([1], [Message("user", "好")])) == ["好"]
    assert len(await memory.session.alog(last=1)) == 1


def test_a_window_that_was_compacted_starts_anew_from_an_edit(tmp_path: Path) -> None:
    with opened("sqlite", tmp_path, budget=600) as memory:
        for i in range(60):
            memory.add("user", f"Question {i}: " + "how far is it to the next town? " * 3)
            memory.add("assistant", f"Answer {i}: " + "about forty kilometres. " * 3)
            memory.add("user", "And then?") if i % 7 == 0 else None
            memory.context()
        assert memory.context().report.compactions
        versions = [logged.version for logged in memory.session.log()]
        memory.session.keep(versions[-4:])
        window = memory.context()
        assert said(window.messages) == said(memory.messages())
        with opened("sqlite", tmp_path, budget=600) as other:
            assert other.context().messages == window.messages
        for i in range(60):
            memory.add("user", f"Later {i}: " + "how far is it to the next town? " * 3)
            memory.add("assistant", f"Later answer {i}: " + "about forty kilometres. " * 3)
        memory.add("user", "Last")
        window = memory.context()
        assert window.report.compactions and "Question 0" not in str(window.messages)
        with opened("sqlite", tmp_path, budget=600) as other:
            assert other.context().messages == window.messages


def test_a_pinned_or_system_message_that_was_removed_is_not_sent(memory: AgentMemory) -> None:
    memory.add("system", "Speak like a pirate.")
    memory.add("user", "My name is Ada.", pinned=True)
    memory.add("user", "Hello")
    memory.context()
    memory.session.keep([3])
    assert said(memory.context().messages) == ["Hello"]
    with memory.beside(session="trip") as again:
        assert said(again.context().messages) == ["Hello"]


def test_a_long_log_that_was_edited_is_not_gone_through_whole(tmp_path: Path) -> None:
    with opened("sqlite", tmp_path, budget=500) as memory:
        fill(memory, 1500, "Message {} about the way to Lisbon and the trains of the morning")
        memory.add("user", "Now")
        versions = [logged.version for logged in memory.session.log()]
        memory.session.keep(versions[:1] + versions[2:])
        window = memory.context()
        assert window.tokens <= 500
        assert window.messages[-1].text == "Now"
        assert len(window.messages) < 400


def test_two_memories_see_each_others_edits(memory: AgentMemory) -> None:
    fill(memory, 2)
    with memory.beside(session="trip") as other:
        memory.context(), other.context()
        memory.session.keep([1])
        assert len(other.messages()) == 1
        assert len(other.context().messages) == 1
        other.session.keep([], [Message("user", "Anew")])
        assert said(memory.messages()) == said(memory.context().messages) == ["Anew"]


def test_after_an_erase_no_edit_is_remembered(memory: AgentMemory) -> None:
    fill(memory, 2)
    with memory.beside(session="trip") as other:
        memory.session.keep([1])
        assert len(memory.messages()) == 1
        other.erase()
        fill(other, 5)
        assert len(memory.messages()) == 10


@pytest.mark.parametrize("kind", KINDS)
def test_appends_and_edits_at_once_lose_nothing(kind: str, tmp_path: Path) -> None:
    with opened(kind, tmp_path) as memory:
        memory.extend([Message("user", f"start {i}") for i in range(20)])

        def remove_odd() -> None:
            for _ in range(10):
                while True:
                    head = memory.session.head
                    log = memory.session.log()
                    try:
                        drop = next(i for i, one in enumerate(log) if "start" in one.message.text)
                    except StopIteration:
                        return
                    keep = [one.version for i, one in enumerate(log) if i != drop]
                    try:
                        memory.session.keep(keep, expected=head)
                        break
                    except ConflictError:
                        continue

        def append(name: int) -> None:
            for i in range(25):
                memory.add("user", f"{name}:{i}")

        threads = [threading.Thread(target=remove_odd) for _ in range(2)]
        threads += [threading.Thread(target=append, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        texts = said(memory.messages())
        assert sum("start" in text for text in texts) == 0
        assert sorted(texts) == sorted(f"{n}:{i}" for n in range(3) for i in range(25))


def test_the_number_of_edits_does_not_matter(tmp_path: Path) -> None:
    with opened("sqlite", tmp_path) as memory:
        fill(memory, 300)
        for _ in range(100):
            memory.session.keep([one.version for one in memory.session.log()][:-2:])
            memory.add("user", "x")
        texts = said(memory.messages())
        assert len(texts) == 600 - 100
        assert texts[-1] == "x"


STEP = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 4)),
    st.tuples(st.just("keep"), st.lists(st.booleans(), max_size=30), st.integers(0, 2)),
    st.tuples(st.just("window")),
    st.tuples(st.just("reopen")),
)


@pytest.mark.parametrize("kind", KINDS)
@given(steps=st.lists(STEP, max_size=14), data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_view_is_what_a_list_would_be(kind: str, steps, data) -> None:
    with TemporaryDirectory() as name:
        memory = opened(kind, Path(name), budget=400)
        model: list[str] = []
        everything: list[str] = []
        count = 0
        try:
            for step in steps:
                if step[0] == "add":
                    new = [f"no. {count + i} " + "word " * 12 for i in range(step[1])]
                    count += len(new)
                    memory.extend(Message("user", text) for text in new)
                    model += new
                    everything += new
                elif step[0] == "keep":
                    log = memory.session.log()
                    flags = (step[1] + [True] * len(log))[: len(log)]
                    new = [f"no. {count + i}" for i in range(step[2])]
                    count += len(new)
                    versions = [one.version for one, keep in zip(log, flags, strict=True) if keep]
                    memory.session.keep(versions, [Message("user", text) for text in new])
                    model = [t for t, keep in zip(model, flags, strict=True) if keep] + new
                    everything += new
                elif step[0] == "window" and model:
                    window = memory.context()
                    assert window.messages[-1].text.strip().endswith(model[-1].strip())
                    shown = str(window.messages)
                    for gone in set(everything) - set(model):
                        assert f"{gone.split(' word')[0]} " not in shown.replace("'", " ")
                elif step[0] == "reopen":
                    if kind == "sqlite":
                        memory.close()
                        memory = opened(kind, Path(name), budget=400)
                    else:
                        memory = memory.beside(session="trip")
                assert said(memory.messages()) == model
                last = data.draw(st.integers(0, 6))
                assert said(memory.messages(last=last)) == model[max(0, len(model) - last) :]
                log = memory.session.log()
                assert all(a.version < b.version for a, b in pairwise(log))
                assert said(o.message for o in memory.session.log(kept=False)) == everything
        finally:
            memory.close()


def long_talk(memory: AgentMemory, name: str, turns: int = 40) -> None:
    for i in range(turns):
        memory.add("user", f"{name} {i}: " + "how far is it to the next town? " * 3)
        memory.add("assistant", f"{name} answer {i}: " + "about forty kilometres. " * 3)


def test_a_compaction_that_an_edit_overtook_counts_for_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        opened("sqlite", tmp_path, budget=600) as memory,
        opened("sqlite", tmp_path, budget=600) as other,
    ):
        long_talk(memory, "Secret")
        memory.add("user", "Now")
        write = memory.backend.write

        def late(*ops: object) -> list[int]:
            if any(getattr(op, "kind", "") == "compaction" for op in ops) and other.messages():
                other.session.keep([])
                other.add("user", "Fresh")
            return write(*ops)  # type: ignore[arg-type]

        monkeypatch.setattr(memory.backend, "write", late)
        first = memory.context()
        monkeypatch.setattr(memory.backend, "write", write)
        with opened("sqlite", tmp_path, budget=600) as third:
            for one in (memory, other, third):
                assert said(one.context().messages) == ["Fresh"], first.messages


def test_what_was_removed_stays_away_after_the_next_compaction(tmp_path: Path) -> None:
    with opened("sqlite", tmp_path, budget=900) as memory:
        memory.add("system", "Speak like a pirate.")
        memory.add("system", "Be brief.")
        memory.add("user", "Hello")
        memory.session.keep([2, 3])
        long_talk(memory, "Later", 80)
        memory.add("user", "Now")
        window = memory.context()
        assert window.report.compactions
        with opened("sqlite", tmp_path, budget=900) as again:
            assert again.context().messages == window.messages
            assert "pirate" not in str(window.messages) and "Be brief." in str(window.messages)
