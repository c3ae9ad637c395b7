"""What holds in every city by our own choice."""

from __future__ import annotations

from normalizer.model import MatterKind
from tests.regulations.cases import ACCEPTED, Case, case, until

CASES: tuple[Case, ...] = (
    case("a life in danger", None, "crisis", "我不想活了，现在就站在楼顶", {"matter.crisis": True, "matter.urgency": "immediate"}, "12356", reader="crisis"),
    case("a figure of speech", None, "crisis", "这天热死人了，小区又停电，急死我了", {"matter.crisis": False}, reader="crisis"),
    case("praise", None, "kinds.praise", "感谢社区王师傅冒雨帮我们疏通下水道，给他点赞", {"matter.kind": MatterKind.PRAISE}, reader="kind"),
    case("praise, chosen", None, "kinds.praise", "点赞", {"kind": "表扬"}, kind=MatterKind.PRAISE, way="app"),
    case("nobody said who he is", None, "parties.unknown", "路灯坏了", {"party": "未说明身份"} | ACCEPTED),
    case("by Telegram", None, "ways_in.telegram", "street lamp broken", {"way": "Telegram"}, way="telegram"),
    case("by another program", None, "ways_in.open311", "路灯坏了", {"way": "开放接口（Open311）"}, way="open311"),
    case("advertising", None, "conduct.spam", "低息贷款，无需抵押，当天放款，加微信领取额度", {"flags": frozenset({"spam"})}, reader="conduct"),
    case("a consumer's limit", None, "limits.消费者投诉", "健身卡退费难", until(12, 4), "消费者投诉：7个工作日", way="partner", platform="12315"),
    case("the labour platform", None, "platforms.12333", "社保断缴", {"platform": "人力资源和社会保障热线"}, way="partner", platform="12333"),
)  # fmt: skip
