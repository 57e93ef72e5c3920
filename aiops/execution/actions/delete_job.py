"""Delete a Job that is stuck, with its pods, by its uid. Never one that has ended, is suspended, or gets on.

It gets on while one of its pods is ready, or one has succeeded lately: everything else for `stuckFor` is stuck. Neighbours: `run_job`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiops.domain.errors import NotFoundError
from aiops.domain.outcome import Outcome, Result
from aiops.domain.runbook import ActionSpec, EffectClass, ParamSpec, Permission
from aiops.domain.target import JsonObject, TargetRef
from aiops.execution.actions.contract import Checked, Context, Done, Effect, Looked, Prepared, Seen, Waiting
from aiops.execution.actions.run_job import POLL, ended
from aiops.execution.actions.template import invalid
from aiops.remediate.objects import condition, controls, seconds

STUCK = 600.0


def not_stuck(job: JsonObject, pods: Sequence[JsonObject], now: float, stuck_for: float) -> Result | None:
    """Why the Job is left alone, or None. `now` in Unix seconds, `stuck_for` in seconds."""
    owner = next((o for o in job["metadata"].get("ownerReferences") or () if o.get("controller")), None)
    if owner is not None and owner.get("kind") != "CronJob":
        return Result(Outcome.FAILED, "OwnedByController", f"it belongs to the {owner.get('kind')} {owner.get('name')}")
    if end := ended(job):
        return Result(Outcome.SKIPPED, "Ended", f"it has ended: {end.reason}")
    if (job.get("spec") or {}).get("suspend"):
        return Result(Outcome.FAILED, "Suspended", "somebody suspended it")
    begun = seconds((job.get("status") or {}).get("startTime")) or seconds(job["metadata"].get("creationTimestamp"))
    if begun is None or now - begun < stuck_for:
        return Result(Outcome.FAILED, "NotStuck", f"it is younger than {stuck_for:g} s")
    return next((result for pod in pods if (result := _gets_on(pod, now, stuck_for))), None)


def _gets_on(pod: JsonObject, now: float, stuck_for: float) -> Result | None:
    """By what this pod shows that the Job gets on, or None."""
    name, ready = pod["metadata"]["name"], condition(pod, "Ready")
    if ready is not None and ready.get("status") == "True":
        return Result(Outcome.FAILED, "NotStuck", f"the pod {name} is at work")
    if (pod.get("status") or {}).get("phase") == "Succeeded" and now - (_finished(pod) or now) < stuck_for:
        return Result(Outcome.FAILED, "NotStuck", f"the pod {name} has succeeded lately")
    return None


def _finished(pod: JsonObject) -> float | None:
    ends = (((c.get("state") or {}).get("terminated") or {}).get("finishedAt") for c in (pod.get("status") or {}).get("containerStatuses") or ())
    return max((at for end in ends if (at := seconds(end)) is not None), default=None)


class DeleteJob:
    """See `contract.Action`. It cannot be undone."""

    spec = ActionSpec(
        name="delete-job",
        doc="Delete a Job that does not get on, with its pods. One that has ended, is suspended or gets on is left alone.",
        effect=EffectClass.UID,
        parameters={
            "job": ParamSpec("string", "name of the Job in the target's namespace, if it is not the target itself"),
            "stuckFor": ParamSpec("duration", "for so long it must not have got on", default=STUCK, minimum=60, maximum=7 * 86_400),
        },
        permissions=(Permission("batch", "jobs", ("get", "delete")), Permission("", "pods", ("list",))),
        target_kinds=("Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job"),
    )

    def prepare(self, context: Context, arguments: Mapping[str, Any]) -> Prepared:
        """Reads the Job and its pods."""
        own = context.target.name if context.target.kind == "Job" else ""
        name = str(arguments.get("job") or own)
        if not name or (own and name != own):
            return Prepared(skip=invalid("`job` is to be named where the target is none, and only there"))
        job = context.cluster.reader.get(_ref(context, name))
        state = {"uid": job["metadata"]["uid"], "job": name}
        pods = [p for p in context.cluster.reader.list("Pod", context.target.namespace).items if controls(job, p)]
        if reason := not_stuck(job, pods, context.now, float(arguments.get("stuckFor") or STUCK)):
            return Prepared(pre_state=state, skip=reason)
        return Prepared(pre_state=state, request={"delete": name, "uid": state["uid"]}, before=job, output={"job": name, "pods": len(pods)})

    def start(self, context: Context, prepared: Prepared) -> Effect:
        """One deletion, its pods with it."""
        ref = _ref(context, str(prepared.pre_state["job"]))
        result = context.cluster.writer.delete(ref, uid=str(prepared.pre_state["uid"]), timeout=context.request_timeout)
        return Effect(applied=result.applied, write=result, note=f"deletes {ref} and {prepared.output['pods']} pods")

    def look(self, context: Context, prepared: Prepared) -> Seen:
        """It is going, gone, or another."""
        return Seen(Looked.HAPPENED if self._going(context, prepared) else Looked.NOT)

    def check(self, context: Context, prepared: Prepared, started_at: float) -> Checked:  # noqa: ARG002 (the contract's signature)
        """It is gone."""
        job = self._present(context, prepared)
        return Waiting(POLL, "it is ending") if job is not None else Done(detail=f"the Job {prepared.pre_state['job']} is gone")

    def _going(self, context: Context, prepared: Prepared) -> bool:
        job = self._present(context, prepared)
        return job is None or "deletionTimestamp" in job["metadata"]

    @staticmethod
    def _present(context: Context, prepared: Prepared) -> JsonObject | None:
        try:
            job = context.cluster.reader.get(_ref(context, str(prepared.pre_state["job"])))
        except NotFoundError:
            return None
        return job if job["metadata"]["uid"] == prepared.pre_state["uid"] else None


def _ref(context: Context, name: str) -> TargetRef:
    return TargetRef("Job", context.target.namespace, name, context.target.context)
