"""PromQL that must give the same answer from a real Prometheus and from ours; and PromQL that both must refuse."""

from __future__ import annotations

SELECTORS = """
memory_bytes
{__name__="memory_bytes"}
{__name__=~"memory_.+",pod="cart-a"}
memory_bytes{pod=~"cart-.*"}
memory_bytes{pod=~"cart"}
memory_bytes{pod!~"cart-.*"}
memory_bytes{pod!="cart-a",workload="cart"}
memory_bytes{missing=""}
memory_bytes{missing!=""}
memory_bytes{pod=~""}
memory_bytes{pod=~"cart-a|pay-b"}
memory_bytes{pod=~"(?i)CART-a"}
memory_bytes{pod=~"[[:alpha:]]+-[ab]"}
text{value="a\\"b"}
text{value=~"a.b"}
text{value=~"a\\\\.b"}
text{value=~".*\\n.*"}
text{value=~".+"}
text{value=~"\\\\w+"}
text{value!~"[a-z]+.*"}
nothing
memory_bytes offset 5m
memory_bytes offset -5m
memory_bytes @ 1790001000
memory_bytes @ 1790001000.5 offset 1m
memory_bytes @ start()
memory_bytes @ end()
gap
blinking
once
first_half
odd
"""

OPERATORS = """
1
-1
+1.5e3
0x1F
Inf
NaN
1 + 2 * 3 ^ 2 % 5
2 ^ 3 ^ 2
-2 ^ 2
1 / 0
-1 / 0
0 / 0
5 % 0
-7 % 3
1 > bool 2
1 == bool 1
NaN == bool NaN
1 atan2 2
-memory_bytes
+memory_bytes
-(signed)
memory_bytes + 1
1 - memory_bytes
memory_bytes * 2 ^ 2
memory_bytes / 0
signed % 3
signed ^ 2
2 ^ signed
signed ^ 0.5
signed atan2 2
memory_bytes > 200
200 < memory_bytes
memory_bytes > bool 200
200 >= bool memory_bytes
memory_bytes != 3
odd == odd
odd != odd
odd > 1
odd <= bool 2
1 < odd
memory_bytes / memory_limit_bytes
memory_bytes / on(pod) memory_limit_bytes
memory_bytes / ignoring(workload) memory_limit_bytes
memory_bytes / on(namespace,pod) memory_limit_bytes > 0.5
memory_bytes > on(pod) memory_limit_bytes
memory_bytes < on(pod) memory_limit_bytes
memory_bytes < bool on(pod) memory_limit_bytes
memory_bytes * on(pod) group_left(node,version) pod_info
pod_info * on(pod) group_right(node,version) memory_bytes
memory_bytes * on(pod) group_left pod_info
pod_info * on(node) group_left(zone,rack) node_info
node_info * on(node) group_right(zone) pod_info
node_info < on(node) group_right(zone) (pod_info * 3)
(pod_info * 3) > on(node) group_left(zone) node_info
(pod_info * 3) > bool on(node) group_left(zone) node_info
memory_bytes / on(workload) group_left sum by (workload)(memory_bytes)
sum by (workload)(memory_bytes) - on(workload) group_right memory_bytes
memory_bytes and on(pod) pod_info{node="n0"}
memory_bytes and pod_info
memory_bytes and ignoring(workload) memory_limit_bytes
memory_bytes and on() vector(1)
memory_bytes and on() absent(nothing)
memory_bytes or memory_limit_bytes
memory_bytes{pod="cart-a"} or on(pod) memory_limit_bytes
first_half or second_half
first_half or ignoring(of) second_half
first_half or on() second_half
memory_bytes unless on(pod) pod_info{node="n0"}
memory_bytes unless nothing
nothing unless memory_bytes
nothing or vector(0)
nothing + memory_bytes
nothing and memory_bytes
first_half + on(side) second_half
(first_half + 1) or (second_half + 1)
http_requests_total{code="500"} / ignoring(code) http_requests_total{code="200"}
http_requests_total{code="500"} / on(pod) http_requests_total{code="200"}
blinking and on(kind) blinking offset 1m
up == 1
up == on(instance) up
mix + on(a) same_value
"""

AGGREGATIONS = """
sum(memory_bytes)
sum by (workload)(memory_bytes)
sum by (workload, nothing)(memory_bytes)
sum without (pod)(memory_bytes)
sum without ()(memory_bytes)
sum by ()(memory_bytes)
sum by (__name__)({__name__=~"memory_.*"})
avg by (workload)(memory_bytes)
min by (workload)(memory_bytes)
max by (workload)(memory_bytes)
count(memory_bytes)
count by (node)(pod_info)
group by (workload)(memory_bytes)
stddev by (workload)(memory_bytes)
stdvar(memory_bytes)
stddev by (kind)(odd)
sum by (kind)(odd)
sum(mix)
avg(mix)
min(mix)
max(mix)
stddev(mix)
stdvar(mix{a!="1"})
avg(odd{kind=~"large|small"})
avg(odd{kind=~"plus|minus"})
quantile(0.5, memory_bytes)
quantile(0.9, memory_bytes)
quantile by (workload)(0.25, memory_bytes)
quantile(1.5, memory_bytes)
quantile(-1, memory_bytes)
quantile(NaN, memory_bytes)
quantile(0.5, mix)
quantile(0.3, odd)
topk(2, memory_bytes)
bottomk(2, memory_bytes)
topk by (workload)(1, memory_bytes)
bottomk without (pod)(1, memory_bytes)
topk(0, memory_bytes)
topk(-1, memory_bytes)
topk(100, memory_bytes)
topk(2, mix)
bottomk(2, mix)
topk(1.9, memory_bytes)
topk(scalar(vector(2)), memory_bytes)
count_values("value", same_value)
count_values by (job)("value", up)
count_values without (instance)("up", up)
count_values("value", odd{kind!="all"})
count_values("v", signed)
sum(nothing)
count(nothing)
topk(3, nothing)
sum by (code)(rate(http_requests_total[5m]))
sum(rate(http_requests_total{code="500"}[5m])) by (workload) / sum(rate(http_requests_total[5m])) by (workload)
max(blinking)
count(gap)
"""

RANGES = """
rate(http_requests_total[5m])
rate(http_requests_total[1m])
rate(http_requests_total[20s])
rate(http_requests_total[17m30s])
increase(http_requests_total[5m])
increase(http_requests_total[1h])
increase(slow_total[2m])
increase(huge_total[3m])
rate(late_total[10m])
increase(late_total[1h])
rate(http_requests_total[5m] offset 3m)
rate(http_requests_total[5m] offset -3m)
rate(http_requests_total[5m] @ 1790001234)
rate(http_requests_total[5m] @ end() offset 1m)
irate(http_requests_total[5m])
irate(huge_total[1m])
idelta(memory_bytes[5m])
idelta(odd[1m])
delta(memory_bytes[5m])
delta(memory_bytes[33s])
delta(odd[1m])
rate(odd[1m])
increase(odd[2m])
rate(gap[5m])
rate(gap[20m])
rate(once[10m])
rate(blinking[3m])
increase(blinking[1m])
rate(constant[5m])
deriv(memory_bytes[10m])
deriv(http_requests_total{code="200"}[5m])
deriv(constant[5m])
deriv(signed[2m])
deriv(odd[2m])
deriv(gap[10m])
predict_linear(memory_bytes[10m], 3600)
predict_linear(memory_bytes[10m], -60)
predict_linear(memory_bytes[10m] offset 5m, 600)
predict_linear(constant[5m], 60)
resets(http_requests_total[1h])
resets(odd[5m])
resets(memory_bytes[10m])
changes(up[20m])
changes(odd[5m])
changes(memory_limit_bytes[5m])
changes(blinking[5m])
avg_over_time(memory_bytes[5m])
min_over_time(memory_bytes[5m])
max_over_time(memory_bytes[5m])
sum_over_time(memory_bytes[5m])
count_over_time(memory_bytes[5m])
last_over_time(memory_bytes[5m])
last_over_time(gap[15m])
stddev_over_time(memory_bytes[5m])
stdvar_over_time(memory_bytes[5m])
stdvar_over_time(huge_total[5m])
present_over_time(gap[5m])
present_over_time(nothing[5m])
quantile_over_time(0.9, memory_bytes[5m])
quantile_over_time(0.5, odd[5m])
quantile_over_time(2, memory_bytes[5m])
quantile_over_time(-0.1, memory_bytes[5m])
avg_over_time(odd[5m])
sum_over_time(odd[5m])
min_over_time(odd[5m])
max_over_time(odd[5m])
stddev_over_time(odd[5m])
count_over_time(blinking[5m])
avg_over_time(once[1h])
stddev_over_time(once[1h])
absent_over_time(gap[5m])
absent_over_time(nothing{a="1",b=~"2"}[5m])
absent_over_time(memory_bytes[5m])
avg_over_time(memory_bytes[30s] offset 45s)
max_over_time(rate(http_requests_total[5m])[20m:1m])
max_over_time(rate(http_requests_total[5m])[20m:])
avg_over_time(sum(memory_bytes)[10m:30s])
sum_over_time((memory_bytes > 200)[10m:30s])
count_over_time(gap[20m:15s])
rate(http_requests_total[10m:30s])
increase(slow_total[10m:7s])
min_over_time(memory_bytes[10m:1m] offset 5m)
min_over_time(memory_bytes[10m:1m] @ 1790001500)
min_over_time(memory_bytes[10m:1m] @ end() offset 2m)
max_over_time(max_over_time(memory_bytes[2m:20s])[10m:1m])
max_over_time((memory_bytes offset 2m)[10m:1m])
sum_over_time((memory_bytes @ 1790001500)[5m:1m])
sum_over_time(vector(1)[5m:7s])
deriv(memory_bytes[10m:45s])
predict_linear(memory_bytes[10m:45s], 300)
last_over_time(memory_bytes[5m:1m])
absent_over_time(nothing[5m:1m])
"""

FUNCTIONS = """
histogram_quantile(0.5, latency_seconds_bucket)
histogram_quantile(0.95, sum by (le, workload)(rate(latency_seconds_bucket[5m])))
histogram_quantile(0.99, sum by (le)(rate(latency_seconds_bucket[5m])))
histogram_quantile(0.5, odd_bucket)
histogram_quantile(0.01, odd_bucket)
histogram_quantile(0, odd_bucket)
histogram_quantile(1, odd_bucket)
histogram_quantile(0.9, odd_bucket)
histogram_quantile(-1, odd_bucket)
histogram_quantile(2, odd_bucket)
histogram_quantile(NaN, odd_bucket)
histogram_quantile(0.5, memory_bytes)
histogram_quantile(scalar(up{instance="2"}) / 2, odd_bucket{kind="negative"})
absent(nothing)
absent(nothing{a="1"})
absent(nothing{a="1",b="2",c=~"3",d!="4"})
absent(nothing{a="1",a="2"})
absent(nothing{a=""})
absent(memory_bytes)
absent(sum(nothing{a="1"}))
absent((nothing{a="1"}))
absent(gap)
absent(first_half)
absent({job="none"})
scalar(huge_total)
scalar(memory_bytes)
scalar(nothing)
scalar(first_half)
vector(7)
vector(time())
vector(scalar(late_total))
time()
time() - 100
pi()
timestamp(memory_bytes)
timestamp(memory_bytes offset 1m)
timestamp(memory_bytes + 1)
timestamp((memory_bytes))
timestamp(gap)
timestamp(memory_bytes @ 1790001500)
time() - timestamp(up)
abs(signed)
ceil(signed)
floor(signed)
round(signed)
round(signed, 0.3)
round(signed, 5)
round(-signed)
clamp(signed, -1, 1)
clamp(signed, 1, -1)
clamp(signed, NaN, 1)
clamp_min(signed, 0)
clamp_max(signed, 0)
clamp(odd, 0, 2)
clamp_min(odd, 2)
clamp_max(odd, NaN)
exp(signed)
ln(signed)
log2(signed)
log10(signed)
sqrt(signed)
sgn(signed)
sgn(odd)
abs(odd)
sin(signed)
cosh(signed)
deg(signed)
rad(signed)
acos(signed)
label_replace(memory_bytes, "team", "$1", "pod", "(.*)-.*")
label_replace(memory_bytes, "team", "x-$2-$1", "pod", "(.*)-(.*)")
label_replace(memory_bytes, "team", "${name}_1", "pod", "(?P<name>.*)-.*")
label_replace(memory_bytes, "team", "$1x", "pod", "(.*)-.*")
label_replace(memory_bytes, "team", "$$1", "pod", "(.*)-.*")
label_replace(memory_bytes, "workload", "", "pod", "cart-.*")
label_replace(memory_bytes, "team", "fixed", "missing", "")
label_replace(memory_bytes, "team", "fixed", "pod", "cart")
label_replace(memory_bytes, "__name__", "other", "pod", "cart-a")
label_replace(text, "copy", "<$1>", "value", "(?s)(.*)")
label_join(memory_bytes, "both", "/", "workload", "pod")
label_join(memory_bytes, "both", "-", "missing", "pod")
label_join(memory_bytes, "workload", "")
sort(memory_bytes)
sort_desc(memory_bytes)
sort(mix)
minute()
hour()
day_of_week()
day_of_month()
month()
year()
days_in_month()
minute(moments)
hour(moments)
day_of_week(moments)
day_of_month(moments)
day_of_year(moments)
days_in_month(moments)
month(moments)
year(moments)
hour(vector(1e9))
hour(odd)
day_of_week(odd)
day_of_year(odd)
year(odd)
minute(vector(-1e17))
sum(rate(latency_seconds_bucket{le="0.5"}[5m])) / sum(rate(latency_seconds_count[5m]))
(sum by (workload)(rate(http_requests_total{code="500"}[5m])) or 0 * sum by (workload)(rate(http_requests_total[5m])))
memory_bytes / on(pod) memory_limit_bytes > 0.2 and on(pod) deriv(memory_bytes[10m]) > 0
"""

REFUSED = """
avg_over_time(time()[5m:1m])
count_over_time(1[5m:10s])
timestamp(memory_bytes[5m:1m])
topk(scalar(nothing), memory_bytes)
foo(memory_bytes)
rate(memory_bytes)
sum(
memory_bytes[5m
memory_bytes{pod=~"("}
memory_bytes[5m]
{}
{pod=~".*"}
memory_bytes + on(workload) memory_bytes
memory_bytes * on(workload) group_left memory_limit_bytes
node_info * on(node) group_left(pod) pod_info
memory_bytes / on(workload) memory_limit_bytes
memory_bytes * on(pod) group_left(version) label_replace(pod_info, "pod", "cart-a", "pod", ".*")
label_replace(memory_bytes, "bad-name", "x", "pod", ".*")
label_replace(memory_bytes, "pod", "same", "pod", ".*")
label_replace(memory_bytes, "team", "x", "pod", "(")
label_join(memory_bytes, "pod", "", "workload")
count_values("bad-name", memory_bytes)
topk(NaN, memory_bytes)
topk(1e30, memory_bytes)
rate({__name__=~"mix|same_value"}[5m])
abs({__name__=~"mix|same_value"})
sum({__name__=~"mix|same_value"}) + on() group_left {__name__=~"mix|same_value"}
-{__name__=~"mix|same_value"}
memory_bytes and 1
1 > 2
memory_bytes or on() group_left pod_info
"""

# Prometheus 2.42 lets the window of such a call wander with the steps of a range query, against its own documentation of `@`.
INSTANT_ONLY = """
predict_linear(memory_bytes[10m] @ 1790001500, 600)
"""

# Series that become alike without their names, though never at the same time.
REFUSED_RANGES = """
max_over_time(label_replace({__name__=~"first_half|second_half"}, "of", "", "of", ".*")[1m:15s])
-label_replace({__name__=~"first_half|second_half"}, "of", "", "of", ".*")
"""


def listed(text: str) -> list[str]:
    """One query a line; in the text a backslash is written twice, as Python wants."""
    return [line for line in text.splitlines() if line]


AGREED = [query for text in (SELECTORS, OPERATORS, AGGREGATIONS, RANGES, FUNCTIONS) for query in listed(text)]
