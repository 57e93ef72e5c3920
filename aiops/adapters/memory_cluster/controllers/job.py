"""Jobs: pods until so many have succeeded, or too many failed. Neighbours: `kubelet` brings the pods to an end.

As far as https://kubernetes.io/docs/concepts/workloads/controllers/job/ goes for completions, parallelism, backoffLimit, activeDeadlineSeconds and
suspend; without indexes, pod failure policies, or the growing wait between retries.
"""

from __future__ import annotations

from aiops.adapters.memory_cluster.objects import controller_of, digest, is_active, is_true, owner_reference, seconds_of, with_condition
from aiops.adapters.patching import clone
from aiops.domain.target import JsonObject

from .manager import Context


class Jobs:
    """The controller."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._made = 0

    def reconcile(self, job: JsonObject) -> None:
        """Create what is missing, end what is over, write the status."""
        if "deletionTimestamp" in job["metadata"] or is_true(job, "Complete") or is_true(job, "Failed"):
            return
        spec, uid = job["spec"], job["metadata"]["uid"]
        pods = [p for p in self._context.state.children(uid, "Pod") if (controller_of(p) or {}).get("uid") == uid]
        phases = [(p.get("status") or {}).get("phase") for p in pods]
        succeeded, failed = phases.count("Succeeded"), phases.count("Failed")
        active = [p for p in pods if is_active(p)]
        started = (job.get("status") or {}).get("startTime") or self._context.state.now()
        end = "" if spec.get("suspend") else self._end(job, succeeded, failed, started)
        if spec.get("suspend") or end:
            for pod in active:
                self._context.delete(pod)
        else:
            for _ in range(min(spec["parallelism"], spec["completions"] - succeeded) - len(active)):
                self._create_pod(job)
                active.append({})
        self._write_status(job, {"active": 0 if end or spec.get("suspend") else len(active), "succeeded": succeeded, "failed": failed}, started, end)

    def _end(self, job: JsonObject, succeeded: int, failed: int, started: str) -> str:
        spec = job["spec"]
        if succeeded >= spec["completions"]:
            return "Complete"
        if failed > spec["backoffLimit"]:
            return "BackoffLimitExceeded"
        if "activeDeadlineSeconds" in spec:
            until = seconds_of(started) + spec["activeDeadlineSeconds"]
            if self._context.now() >= until:
                return "DeadlineExceeded"
            self._context.again(until, job)
        return ""

    def _create_pod(self, job: JsonObject) -> None:
        self._made += 1
        meta, template = job["metadata"], job["spec"]["template"]
        pod_meta = {k: clone(v) for k, v in (template.get("metadata") or {}).items() if k in ("labels", "annotations")}
        suffix = digest(f"{meta['uid']}/{self._made}", 5)
        pod_meta |= {"name": f"{meta['name']}-{suffix}", "generateName": f"{meta['name']}-", "namespace": meta["namespace"], "ownerReferences": [owner_reference(job)]}
        self._context.create({"apiVersion": "v1", "kind": "Pod", "metadata": pod_meta, "spec": clone(job["spec"]["template"]["spec"])})

    def _write_status(self, job: JsonObject, counts: dict[str, int], started: str, end: str) -> None:
        at = self._context.state.now()
        status: JsonObject = {k: v for k, v in counts.items() if v}
        if not job["spec"].get("suspend"):
            status["startTime"] = started
        if end:
            kind = "Complete" if end == "Complete" else "Failed"
            reason = {} if end == "Complete" else {"reason": end, "message": f"Job has ended: {end}"}
            status["conditions"] = with_condition([], {"type": kind, "status": "True", **reason}, at)
            if kind == "Complete":
                status["completionTime"] = at
        self._context.put_status(job, status)
