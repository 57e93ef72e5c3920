"""Have a model trained anew: by a Job made from a CronJob's template, or by asking somebody else's training over HTTP.

The Job's name is made from the step's part of the operation key, so all tries of a step make one Job. A webhook is asked at most once, unless it
takes an Idempotency-Key. Neighbours: `http_request` asks, `wait_for` waits for what a training changes.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiops.domain.errors import NotFoundError
from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec, Permission
from aiops.domain.target import JsonObject, TargetRef
from aiops.execution.actions import http_request, stamped
from aiops.execution.actions.contract import STAMP, Checked, Context, Done, Effect, Failed, Looked, Prepared, Seen, Waiting
from aiops.execution.actions.query import fields
from aiops.execution.changes import telling

POLL = 30.0
KEPT = 3600
"""Seconds that a finished Job stays at least, so that its end can be seen."""
DEADLINE = 6 * 3600.0
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)


def job_name(cron_job: str, series: str) -> str:
    """One for each step of each run; within the 63 characters that the Job's pods take as a label."""
    return f"{cron_job[:40].rstrip('-.')}-{stamped.digest(series)[:12]}"


def job_of(cron: JsonObject, name: str, key: str, deadline: float, variables: Mapping[str, str]) -> JsonObject:
    """The Job as `kubectl create job --from` would make it, with our stamp, a deadline and these environment variables."""
    template = copy.deepcopy(cron["spec"]["jobTemplate"])
    metadata, spec = template.get("metadata") or {}, template["spec"]
    own = int(spec.get("activeDeadlineSeconds") or deadline)
    spec["activeDeadlineSeconds"] = max(1, min(own, int(deadline)))
    if spec.get("ttlSecondsAfterFinished") is not None:
        spec["ttlSecondsAfterFinished"] = max(int(spec["ttlSecondsAfterFinished"]), KEPT)
    for container in spec["template"]["spec"]["containers"]:
        kept = [entry for entry in container.get("env") or () if entry["name"] not in variables]
        if variables:
            container["env"] = [*kept, *({"name": n, "value": v} for n, v in variables.items())]
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": cron["metadata"]["name"], "uid": cron["metadata"]["uid"], "controller": True}
    annotations = {**(metadata.get("annotations") or {}), "cronjob.kubernetes.io/instantiate": "manual", STAMP: key}
    named = {"name": name, "annotations": annotations, "ownerReferences": [owner], **({"labels": metadata["labels"]} if metadata.get("labels") else {})}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": named, "spec": spec}


def ended(job: JsonObject) -> Result | None:
    """What became of a Job, or None while it is at work."""
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("status") == "True" and condition.get("type") == "Complete":
            return Result(Outcome.SUCCEEDED, "Completed")
        if condition.get("status") == "True" and condition.get("type") == "Failed":
            reason = "DeadlinePassed" if condition.get("reason") == "DeadlineExceeded" else "TrainingFailed"
            return Result(Outcome.FAILED, reason, str(condition.get("message") or condition.get("reason") or ""))
    return None


class Retrain:
    """See `contract.Action`. It cannot be undone: which model is served is decided elsewhere."""

    spec = ActionSpec(
        name="retrain",
        doc="Have a model trained anew within a deadline: a Job from the template of a CronJob, made once under a name of its own; or a POST to `webhook`, which is not sent again when "
        "no answer came, unless `idempotencyKey`.",
        effect=EffectClass.AT_MOST_ONCE,
        parameters={
            "cronJob": ParamSpec("string", "CronJob whose template the Job is made from"),
            "namespace": ParamSpec("string", "of the CronJob; the target's if it is not given"),
            "webhook": ParamSpec("string", "address that is asked with the wish as JSON; `outbound.allow` must list it"),
            "idempotencyKey": ParamSpec("bool", "send `Idempotency-Key` to the webhook: only for an end that honours it", default=False),
            "deadline": ParamSpec("duration", "the training must be through by then; a Job is ended at it", default=DEADLINE, minimum=60, maximum=7 * 86400),
            "wait": ParamSpec("bool", "wait until the Job has ended, at most for the deadline", default=False),
            "parameters": ParamSpec("strings", "`NAME=value`: environment variables of the Job, or `parameters` in the webhook's JSON"),
            "reason": ParamSpec("string", "why, for the webhook", default="the model has drifted"),
        },
        permissions=(Permission("batch", "cronjobs", ("get",)), Permission("batch", "jobs", ("get", "list", "create"))),
        one_of=(("cronJob", "webhook"),),
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Reads the CronJob and the Jobs that it has, or asks the allow-list."""
        deadline = float(arguments.get("deadline") or DEADLINE)
        given = {name: values[-1] for name, values in fields(arguments.get("parameters")).items()}
        until = datetime.fromtimestamp(context.now + deadline, UTC).isoformat(timespec="seconds")
        if arguments.get("webhook"):
            return self._webhook(context, arguments, given, until)
        for name in given:
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"{name[:80]!r} is no name of a variable: letters, digits and _")
            if telling(name):
                return Prepared(skip=Result(Outcome.ERROR, "SecretVariable", f"{name} sounds like a secret: its value belongs into a Secret"))
        namespace = str(arguments.get("namespace") or context.target.namespace)
        ref = TargetRef("CronJob", namespace, str(arguments["cronJob"]), context.target.context)
        cron = context.cluster.reader.get(ref)
        pre_state, name = {"uid": cron["metadata"]["uid"]}, job_name(ref.name, context.series)
        if running := self._running(context, cron, name):
            return Prepared(pre_state=pre_state, skip=Result(Outcome.SKIPPED, "AlreadyTraining", f"Job {running} is at work"))
        output = {"job": name, "namespace": namespace, "deadlineAt": until, "deadline": deadline, "wait": bool(arguments.get("wait"))}
        return Prepared(pre_state=pre_state, request=job_of(cron, name, context.key, deadline, given), output=output)

    @staticmethod
    def _running(context: Context, cron: JsonObject, own: str) -> str:
        """A Job of this CronJob that has not ended and is not ours; none hinders where the CronJob lets Jobs overlap."""
        if cron["spec"].get("concurrencyPolicy", "Allow") == "Allow":
            return ""
        for job in context.cluster.reader.list("Job", cron["metadata"]["namespace"]).items:
            owners = [o.get("uid") for o in job["metadata"].get("ownerReferences") or ()]
            if cron["metadata"]["uid"] in owners and job["metadata"]["name"] != own and ended(job) is None:
                return str(job["metadata"]["name"])
        return ""

    @staticmethod
    def _webhook(context: Context, arguments: Mapping[str, Any], given: Mapping[str, str], until: str) -> Prepared:
        url, repeatable, operation = str(arguments["webhook"]), bool(arguments.get("idempotencyKey")), context.series.rstrip(".")
        if arguments.get("wait"):
            raise ValueError("`wait` is for a Job; what a webhook has started is waited for with a `wait-for` step")
        if refused := context.outbound.refusal("POST", url):
            return Prepared(pre_state={"repeatable": repeatable}, skip=Result(Outcome.ERROR, "NotAllowed", refused))
        wish = {
            "operation": operation, "target": str(context.target), "reason": str(arguments.get("reason") or ""), "deadlineAt": until, "parameters": dict(given),
        }
        headers = {"Content-Type": "application/json", **({http_request.IDEMPOTENCY_KEY: operation} if repeatable else {})}
        request = {"method": "POST", "url": url, "headers": headers, "body": json.dumps(wish)}
        return Prepared(pre_state={"repeatable": repeatable}, request=request, output={"deadlineAt": until})

    def start(self, context: Context, prepared: Prepared) -> Effect:
        """Make the Job, or ask."""
        if "job" not in prepared.output:
            return http_request.ask(context, prepared)
        written = context.cluster.writer.create("Job", prepared.output["namespace"], prepared.request, timeout=context.request_timeout)
        return Effect(applied=written.applied, write=written, note=f"makes Job {prepared.output['job']}")

    def look(self, context: Context, prepared: Prepared) -> Seen:
        """By the Job's name; of a webhook nobody can tell."""
        if "job" not in prepared.output:
            return http_request.look(context, prepared)
        try:
            job = context.cluster.reader.get(self._ref(context, prepared))
        except NotFoundError:
            return Seen(Looked.NOT)
        stamp = stamped.stamp_of(job) or ""
        return Seen(Looked.HAPPENED, stamp) if stamp.startswith(context.series) else Seen(Looked.UNKNOWN)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:
        """Asked for, or through, as was wished."""
        output = prepared.output
        if "job" not in output:
            return Done(detail=f"asked for, HTTP {output.get('status')}")
        job = context.cluster.reader.get(self._ref(context, prepared))
        if not output["wait"]:
            return Done(detail=f"Job {output['job']} was made, it ends by {output['deadlineAt']}")
        end, left = ended(job), started_at + float(output["deadline"]) - context.now
        if end is not None:
            return Done(detail=f"Job {output['job']} is complete") if end.outcome is Outcome.SUCCEEDED else Failed(end)
        if left <= -POLL:  # the Job's own deadline has its say first
            return Failed(Result(Outcome.FAILED, "DeadlinePassed", f"Job {output['job']} has not ended by {output['deadlineAt']}"))
        return Waiting(min(POLL, max(left + POLL, 1.0)), f"Job {output['job']} is at work", patient=True)

    @staticmethod
    def _ref(context: Context, prepared: Prepared) -> TargetRef:
        return TargetRef("Job", str(prepared.output["namespace"]), str(prepared.output["job"]), context.target.context)
