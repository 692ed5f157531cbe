"""The queue of questions: no client takes all of it, and answers that nobody fetches do not pile up."""

from __future__ import annotations

from typing import Any

from gradio import Blocks
from gradio.queueing import Queue
from gradio.utils import LRUCache

from grounding.webapp.clients import client_of

WAITING = 200  # questions of all clients; more are turned away
OF_ONE_CLIENT = 20  # of these
UNREAD = 30  # messages to a session that its browser has not fetched; a question has about three
SESSIONS_UNREAD = 100  # with messages that are not fetched; of the oldest ones they go


class FairQueue(Queue):
    """Gradio's queue with bounds for each client.

    Args:
        page: whose questions wait.
    """

    def __init__(self, page: Blocks) -> None:
        super().__init__(live_updates=True, concurrency_count=page.max_threads, update_intervals=1, max_size=WAITING,
                         blocks=page)  # fmt: skip
        self.pending_messages_per_session = LRUCache(SESSIONS_UNREAD)
        self.pending_event_ids_session = LRUCache(10 * SESSIONS_UNREAD)  # of which Gradio would forget none

    async def push(self, body: Any, request: Any, username: str | None) -> Any:
        """Take a question, or say why not."""
        unread = self.pending_messages_per_session.get(body.session_hash)
        if unread is not None and unread.qsize() >= UNREAD:
            return False, "answers wait to be fetched: reload the page", "queue_full"
        client = client_of(request.client)
        queues = self.event_queue_per_concurrency_id.values()
        waiting = sum(client_of(event.request.client) == client for queue in queues for event in queue.queue)
        if waiting >= OF_ONE_CLIENT:
            return False, f"{waiting} of your questions are waiting: wait for their answers", "queue_full"
        return await super().push(body, request, username)

    def send_message(self, event: Any, event_message: Any) -> None:
        """Keep a message for its session, unless the session is one of those whose messages went."""
        if event.session_hash in self.pending_messages_per_session:
            super().send_message(event, event_message)
