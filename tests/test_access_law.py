"""A store as agents may use it obeys the law of backends: with rules, and without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ctxplug.access import AccessRule, RuleSet, guarded
from ctxplug.access.stored import StoredRules
from ctxplug.storage import Backend
from ctxplug.storage.in_memory import InMemoryBackend
from ctxplug.testing import MemoryBackendSuite

# What the law of access forbids agents, with rules or without: the chain of the audit.
OF_OWNERS = ("test_namespaces_of_ctxplug_are_listed_only_when_asked_for",)
# What takes the right to the whole namespace, or tells of all of a store.
OF_THE_WHOLE = (
    "test_neither_sees_what_the_other_gains",
    "test_erasing_a_namespace_counts_each_entry_once",
    "test_long_logs_are_archived_in_runs",
    "test_the_archive_stays_inside_the_namespace",
    "test_a_namespace_counts_only_its_own",
    "test_after_an_unembed_another_embedder_may_begin",
    "test_vectors_stay_in_their_namespace_and_go_with_it",
    "test_erasing_one_namespace_leaves_all_others",
    "test_an_erased_namespace_begins_anew",
    "test_erasing_nothing_gives_an_empty_receipt",
    "test_backup_makes_a_new_file_or_is_refused",
    "test_the_async_twins_agree",
    "test_check_finds_nothing_wrong_and_counts",
    "test_everything_but_close_is_refused_after_close",
    "test_an_append_unless_something_is_marked_is_refused_once_it_is",
    "test_the_receipt_of_a_namespace_marks_entries_and_records",
    "test_vectors_of_two_embedders_in_one_write_are_refused_whole",
    "test_twins_fail_as_the_sync_methods_do",
)

# Something is kept from the agent, so every operation is looked at; nothing of it is here.
ELSEWHERE = RuleSet(
    [
        AccessRule(
            action="deny",
            verbs=("read", "write", "share"),
            agent="planner",
            tags=("a tag of no record",),
            id="r",
        )
    ]
)


@pytest.mark.slow
class TestWithoutRules(MemoryBackendSuite):
    @pytest.fixture
    def backend(self) -> Iterator[Backend]:
        with InMemoryBackend() as store:
            yield guarded(store, "planner")


class TestWithRulesOfOtherThings(MemoryBackendSuite):
    @pytest.fixture
    def backend(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
        monkeypatch.setattr(StoredRules, "of", lambda self, namespace: ELSEWHERE)
        with InMemoryBackend() as store:
            yield guarded(store, "planner")


for name in OF_OWNERS:
    setattr(TestWithoutRules, name, None)
for name in (*OF_OWNERS, *OF_THE_WHOLE):
    assert hasattr(MemoryBackendSuite, name), f"{name} is no more"
    setattr(TestWithRulesOfOtherThings, name, None)
