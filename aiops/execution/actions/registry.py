"""Which actions there are: an explicit table, so that reading this file answers the question. Neighbours: `definitions` checks steps against `SPECS`."""

from __future__ import annotations

from collections.abc import Mapping

from aiops.domain.runbook import ActionSpec
from aiops.execution.actions.contract import Action
from aiops.execution.actions.cordon import Cordon, Uncordon
from aiops.execution.actions.delete_job import DeleteJob
from aiops.execution.actions.drain import Drain
from aiops.execution.actions.failback_traffic import FailbackTraffic
from aiops.execution.actions.http_request import HttpRequest
from aiops.execution.actions.notify import Notify
from aiops.execution.actions.pause import PauseRollout, ResumeRollout
from aiops.execution.actions.query import Query
from aiops.execution.actions.redis_flush import RedisFlush
from aiops.execution.actions.restart import Restart
from aiops.execution.actions.restart_pod import RestartPod
from aiops.execution.actions.retrain import Retrain
from aiops.execution.actions.rollback import Rollback
from aiops.execution.actions.run_job import RunJob
from aiops.execution.actions.scale import Scale
from aiops.execution.actions.scheduler_fallback import SchedulerFallback
from aiops.execution.actions.scheduler_parameter import SetSchedulerParameter
from aiops.execution.actions.scheduler_restore import SchedulerRestore
from aiops.execution.actions.set_config import SetConfig
from aiops.execution.actions.set_env import SetEnv
from aiops.execution.actions.set_image import SetImage
from aiops.execution.actions.set_resources import SetResources
from aiops.execution.actions.shift_traffic import ShiftTraffic
from aiops.execution.actions.silence import Silence
from aiops.execution.actions.suspend import Suspend
from aiops.execution.actions.wait import Wait
from aiops.execution.actions.wait_for import WaitFor
from aiops.execution.actions.warm_cache import WarmCache

_WORKLOADS: tuple[Action, ...] = (
    Scale(), Restart(), RestartPod(), Rollback(), PauseRollout(), ResumeRollout(), SetImage(), SetEnv(), SetResources(), SetConfig(),
    RunJob(), DeleteJob(),
)
_NODES: tuple[Action, ...] = (Cordon(), Uncordon(), Drain())
_SWITCHES: tuple[Action, ...] = (SchedulerFallback(), SchedulerRestore(), SetSchedulerParameter(), ShiftTraffic(), FailbackTraffic())
_OUTSIDE: tuple[Action, ...] = (RedisFlush(), WarmCache(), HttpRequest(), Retrain(), Silence(), Query(), WaitFor(), Wait(), Notify(), Suspend())
REGISTRY: Mapping[str, Action] = {a.spec.name: a for a in (*_WORKLOADS, *_NODES, *_SWITCHES, *_OUTSIDE)}

SPECS: Mapping[str, ActionSpec] = {name: action.spec for name, action in REGISTRY.items()}
