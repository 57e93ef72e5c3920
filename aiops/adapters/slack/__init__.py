"""Telling Slack. `blocks` renders (pure), `errors` reads Slack's refusals, `notifier` sends and looks up."""

from aiops.adapters.slack.notifier import SlackNotifier

__all__ = ["SlackNotifier"]
