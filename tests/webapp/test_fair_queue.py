"""No client takes the whole queue, and what a client does not fetch is bounded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gradio.queueing import EventQueue

from grounding.webapp.fair_queue import OF_ONE_CLIENT, SESSIONS_UNREAD, UNREAD, FairQueue
from grounding.webapp.page import build_page
from reliability.page_session import Session
from tests.webapp.asgi import other_addresses

TAKEN = "error"  # how Gradio's own queue ends with a question about nothing


@pytest.fixture
def queue(answerer) -> FairQueue:
    return build_page(answerer, [], subtitle="")._queue


def push(queue: FairQueue, client: str, session: str = "a") -> Any:
    request = SimpleNamespace(client=(client, 1))
    return asyncio.run(queue.push(SimpleNamespace(session_hash=session, fn_index=None), request, None))


def test_a_client_waits_for_its_own_answers(queue: FairQueue) -> None:
    waiting = EventQueue("answers", 4)
    queue.event_queue_per_concurrency_id["answers"] = waiting
    for _ in range(OF_ONE_CLIENT - 1):
        waiting.queue.append(SimpleNamespace(request=SimpleNamespace(client=("10.0.0.1", 2))))
    assert push(queue, "10.0.0.1")[2] == TAKEN
    waiting.queue.append(SimpleNamespace(request=SimpleNamespace(client=("10.0.0.1", 3))))
    taken, sentence, end = push(queue, "10.0.0.1")
    assert not taken and end == "queue_full" and f"{OF_ONE_CLIENT} of your questions" in sentence
    assert push(queue, "10.0.0.2")[2] == TAKEN


def test_a_session_that_fetches_nothing_gets_no_more(queue: FairQueue) -> None:
    async def unread(count: int) -> None:
        messages: asyncio.Queue[Any] = asyncio.Queue()
        for _ in range(count):
            messages.put_nowait(None)
        queue.pending_messages_per_session["a"] = messages

    asyncio.run(unread(UNREAD - 1))
    assert push(queue, "10.0.0.1")[2] == TAKEN
    asyncio.run(unread(UNREAD))
    assert push(queue, "10.0.0.1")[2] == "queue_full"
    assert push(queue, "10.0.0.1", "b")[2] == TAKEN


def test_sessions_with_unread_answers_are_few(queue: FairQueue) -> None:
    for number in range(SESSIONS_UNREAD + 5):
        queue.pending_messages_per_session[str(number)] = asyncio.Queue()
    assert list(queue.pending_messages_per_session) == [str(number) for number in range(5, SESSIONS_UNREAD + 5)]
    for number in range(11 * SESSIONS_UNREAD):
        queue.pending_event_ids_session[str(number)] = set()
    assert len(queue.pending_event_ids_session) == 10 * SESSIONS_UNREAD


def test_an_answer_to_a_session_that_was_forgotten_goes_nowhere(queue: FairQueue) -> None:
    event = SimpleNamespace(session_hash="a", alive=True, _id="1")
    queue.send_message(event, SimpleNamespace())
    queue.pending_messages_per_session["a"] = asyncio.Queue()
    queue.send_message(event, SimpleNamespace())
    assert queue.pending_messages_per_session["a"].qsize() == 1


@other_addresses
def test_the_served_page_keeps_few_unread_answers(url: str, photo_file: Path) -> None:
    silent, other = Session(url, "127.0.0.5"), Session(url)
    answers = [silent.join("opacity", "input") for _ in range(3 * UNREAD)]
    assert answers[0].ok and answers[-1].status_code == 503
    other.give(photo_file)
    assert photo_file.name in other.status
