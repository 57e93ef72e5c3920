"""Slack's refusals as ours: which ones a later try may cure. Neighbour: `notifier`.

Codes are those of Slack's method references (chat.postMessage, chat.update, conversations.*). One that is not listed is taken for
temporary: the outbox gives up by itself after a day, and a message is not lost to a code that is new.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from aiops.domain.errors import NotifyError

PERMANENT = frozenset({
    "access_denied", "as_user_not_supported", "block_mismatch", "cant_broadcast_message", "channel_not_found",
    "deprecated_endpoint", "duplicate_channel_not_found", "ekm_access_denied", "enterprise_is_restricted", "invalid_arg_name",
    "invalid_arguments", "invalid_array_arg", "invalid_attachments", "invalid_blocks", "invalid_blocks_format",
    "invalid_charset", "invalid_form_data", "invalid_json", "invalid_metadata_format", "invalid_metadata_schema", "invalid_post_type",
    "is_archived", "is_inactive", "json_not_object", "metadata_must_be_sent_from_app", "metadata_too_large", "method_deprecated",
    "missing_post_type", "msg_blocks_too_long", "msg_too_long", "no_permission", "no_text", "not_allowed_token_type",
    "org_login_required", "restricted_action", "restricted_action_non_threadable_channel",
    "restricted_action_read_only_channel", "restricted_action_thread_locked", "restricted_action_thread_only_channel",
    "team_access_not_granted", "team_not_found", "too_many_attachments", "two_factor_setup_required",
    "unknown_method",
})
"""Another try with the same message will not help. Not among them: what people mend by a new token, a scope or an invitation. Those messages wait."""
ROOT_GONE = frozenset({"message_not_found", "thread_not_found", "cant_update_message", "edit_window_closed", "cannot_reply_to_message"})
"""The message that was to be changed or answered cannot be: a new one is posted."""
SHAPE = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "block_mismatch"})
"""Our rendering was refused: the plain text is better than nothing."""
CANNOT_LOOK = frozenset({"missing_scope", "not_in_channel", "channel_not_found", "thread_not_found", "no_permission", "not_allowed_token_type"})
"""The history cannot be read with this token: sending twice is better than not telling."""
LONGEST_WAIT = 3600.0


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asked for, at most an hour; None if it named none that can be used."""
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    try:
        seconds = float(text)
    except ValueError:
        return None
    return min(seconds, LONGEST_WAIT) if math.isfinite(seconds) and seconds >= 0 else None


def refusal(code: str, status: int, headers: Mapping[str, str], method: str) -> NotifyError:
    """The error for an answer that is not `ok`."""
    if status == 429 or code in ("ratelimited", "rate_limited"):
        return NotifyError("RateLimited", method, retry_after=retry_after(headers))
    if status >= 500:
        return NotifyError("ServerError", f"{method}: HTTP {status}")
    if not code:
        return NotifyError("UnreadableAnswer", f"{method}: HTTP {status}, not Slack's JSON")
    return NotifyError(code, method, permanent=code in PERMANENT)
