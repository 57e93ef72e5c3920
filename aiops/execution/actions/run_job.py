"""Run a Job, from a template in the runbook or from that of a CronJob, and wait for its end.

Named: the Job's name is made from the part of the operation key that all tries of the step share, so a try whose answer was lost, or that arrives
late, cannot make a second one. One that has failed may be followed by another, under another name. The inverse deletes the last with its pods; what it did outside is not undone by that. Neighbours: `delete_job`, `retrain`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from aiops.domain.errors import NotFoundError
from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec, Permission
from aiops.domain.target import JsonObject, TargetRef
from aiops.execution.actions import stamped
from aiops.execution.actions.contract import STAMP, Checked, Context, Done, Effect, Failed, Looked, Prepared, Seen, Waiting
from aiops.execution.actions.template import invalid

POLL = 2.0
KEPT = 86_400
"""Seconds that a finished Job stays at least: while it is there, nobody takes it for never made."""
MANUAL = "cronjob.kubernetes.io/instantiate"
"""The annotation by which kubectl marks a Job that a person made from a CronJob."""


def job_name(base: str, series: str) -> str:
    """One for each step of each run, within the 63 characters that a label of the Job's pods takes."""
    return f"{base[:45].rstrip('-.') or 'job'}-{stamped.digest(series)}"


def body_of(template: Mapping[str, Any], name: str, namespace: str, key: str) -> JsonObject:
    """The Job of a template with `metadata` and `spec`. Raises ValueError saying what a Job's template needs."""
    spec, metadata = copy.deepcopy(template.get("spec")), template.get("metadata") or {}
    pod = spec.get("template") if isinstance(spec, dict) else None
    pod_spec = pod.get("spec") if isinstance(pod, dict) else None
    if not isinstance(spec, dict) or not isinstance(pod_spec, dict) or not pod_spec.get("containers"):
        raise ValueError("a Job's template has spec.template.spec.containers")
    if pod_spec.setdefault("restartPolicy", "Never") not in ("Never", "OnFailure"):
        raise ValueError("the restartPolicy of a Job's pods is Never or OnFailure")
    if spec.get("ttlSecondsAfterFinished") is not None:
        spec["ttlSecondsAfterFinished"] = max(int(spec["ttlSecondsAfterFinished"]), KEPT)
    annotations = {**(metadata.get("annotations") or {}), STAMP: key}
    named: JsonObject = {"name": name, "namespace": namespace, "annotations": annotations}
    if metadata.get("labels"):
        named["labels"] = dict(metadata["labels"])
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": named, "spec": spec}


def ended(job: JsonObject) -> Result | None:
    """What became of a Job; None while it is at work."""
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("status") == "True" and condition.get("type") == "Complete":
            return Result(Outcome.SUCCEEDED, "Completed", f"{(job.get('status') or {}).get('succeeded', 0)} pods succeeded")
        if condition.get("status") == "True" and condition.get("type") == "Failed":
            return Result(Outcome.FAILED, "JobFailed", f"{condition.get('reason')}: {condition.get('message', '')}")
    return None


class RunJob:
    """See `contract.Action`."""

    spec = ActionSpec(
        name="run-job",
        doc="Run a Job in the target's namespace and wait for its end: from a `template`, or from that of a CronJob. Undone, it is deleted.",
        effect=EffectClass.NAMED,
        parameters={
            "cronJob": ParamSpec("string", "the CronJob whose jobTemplate is run, suspended or not; the target, if that is one"),
            "template": ParamSpec("object", "a Job as its manifest has it: `spec`, and `metadata` with labels and annotations"),
        },
        permissions=(Permission("batch", "jobs", ("get", "create", "delete")), Permission("batch", "cronjobs", ("get",))),
        target_kinds=("Deployment", "StatefulSet", "DaemonSet", "CronJob"),
        undoable=True,
        repeats=("JobFailed",),
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Reads the CronJob; undoing, the Job."""
        if "delete" in arguments:
            return self._deletion(context, str(arguments["delete"]))
        own = context.target.name if context.target.kind == "CronJob" else ""
        cron, template = str(arguments.get("cronJob") or ("" if arguments.get("template") else own)), arguments.get("template")
        if bool(cron) == bool(template):
            return Prepared(skip=invalid("exactly one of `cronJob` and `template` is to be given"))
        if cron:
            found = context.cluster.reader.get(TargetRef("CronJob", context.target.namespace, cron, context.target.context))
            template = copy.deepcopy(found["spec"]["jobTemplate"])
            template.setdefault("metadata", {}).setdefault("annotations", {})[MANUAL] = "manual"
        name = job_name(cron or context.target.name, context.series)
        try:
            body = body_of(template or {}, name, context.target.namespace, context.key)
        except (ValueError, TypeError, AttributeError) as error:
            return Prepared(skip=invalid(str(error)))
        return Prepared(pre_state={"job": name}, leaves={"job": name}, inverse={"delete": name}, request=body, output={"job": name, "from": cron})

    def _deletion(self, context: Context, name: str) -> Prepared:
        try:
            job = context.cluster.reader.get(_ref(context, name))
        except NotFoundError:
            return Prepared(pre_state={"job": name}, skip=Result(Outcome.SKIPPED, "AlreadyThere", f"the Job {name} is gone"))
        state = {"job": name, "uid": job["metadata"]["uid"], "stamp": stamped.stamp_of(job)}
        return Prepared(pre_state=state, request={"delete": name, "uid": state["uid"]}, before=job, output={"job": name, "deleted": True})

    def start(self, context: Context, prepared: Prepared) -> Effect:
        """One creation, or one deletion with the uid as precondition."""
        name, timeout = str(prepared.pre_state["job"]), context.request_timeout
        if prepared.output.get("deleted"):
            result = context.cluster.writer.delete(_ref(context, name), uid=str(prepared.pre_state["uid"]), timeout=timeout)
            return Effect(applied=result.applied, write=result, note=f"deletes the Job {name}")
        result = context.cluster.writer.create("Job", context.target.namespace, prepared.request, timeout=timeout)
        return Effect(applied=result.applied, write=result, note=f"makes the Job {name}")

    def look(self, context: Context, prepared: Prepared) -> Seen:
        """By the name: it is there with a stamp of this step, or (undoing) it is gone."""
        uid = prepared.pre_state.get("uid")
        try:
            job = context.cluster.reader.get(_ref(context, str(prepared.pre_state["job"])))
        except NotFoundError:
            return Seen(Looked.HAPPENED if uid else Looked.NOT)
        if uid:
            return Seen(Looked.HAPPENED if job["metadata"]["uid"] != uid or "deletionTimestamp" in job["metadata"] else Looked.NOT)
        stamp = stamped.stamp_of(job) or ""
        return Seen(Looked.HAPPENED, stamp) if stamp.startswith(context.series) else Seen(Looked.UNKNOWN)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:  # noqa: ARG002 (the contract's signature)
        """It has ended well, or (undoing) it is gone."""
        name = str(prepared.pre_state["job"])
        try:
            job = context.cluster.reader.get(_ref(context, name))
        except NotFoundError:
            if prepared.output.get("deleted"):
                return Done(detail=f"the Job {name} is gone")
            return Failed(Result(Outcome.FAILED, "TargetVanished", f"somebody deleted the Job {name}"))
        if prepared.output.get("deleted"):
            return Waiting(POLL, f"the Job {name} is ending")
        end = ended(job)
        if end is None:
            status = job.get("status") or {}
            return Waiting(POLL, f"{status.get('active', 0)} pods of {name} are at work, {status.get('failed', 0)} failed")
        return Done({"succeeded": int((job.get("status") or {}).get("succeeded", 0))}, end.detail) if end.outcome is Outcome.SUCCEEDED else Failed(end)


def _ref(context: Context, name: str) -> TargetRef:
    return TargetRef("Job", context.target.namespace, name, context.target.context)
