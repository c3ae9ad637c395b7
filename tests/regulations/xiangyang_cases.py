"""Xiangyang, paragraph by paragraph: its text is a page of questions and answers."""

from __future__ import annotations

from normalizer.model import MatterKind, PartyType
from tests.regulations.cases import ACCEPTED, CALM, Case, case, until, urgent

ONE, TWO, THREE, FOUR, SIX = "第一段", "第二段", "第三段", "第四段", "第六段"
LETTERS = "法律依据：信访条例第二条"

CASES: tuple[Case, ...] = (
    case("1 a difficulty of daily life", ONE, "kinds.help", "楼道堆满杂物，轮椅出不去，请帮忙协调清理", {"matter.kind": MatterKind.HELP}, reader="kind"),
    case("1 a suggestion", ONE, "kinds.suggestion", "建议汉江边增加救生圈", {"matter.kind": MatterKind.SUGGESTION}, reader="kind"),
    case("1 criticism, chosen", ONE, "kinds.complaint", "政务大厅排队太久", {"kind": "批评和投诉"} | ACCEPTED, "kind.stated", kind=MatterKind.COMPLAINT, way="app"),
    case("2 by telephone", TWO, "ways_in.telephone", "树枝压线", {"way": "12345电话"}, way="telephone"),
    case("2 by the mayor's mailbox", TWO, "ways_in.mail", "树枝压线", {"way": "市长信箱"}, way="mail"),
    case("2 by SMS", TWO, "ways_in.phone", "树枝压线", {"way": "手机短信"}, way="phone"),
    case("2 by the app", TWO, "ways_in.app", "树枝压线", {"way": "手机客户端"}, way="app"),
    case("2 by Weibo", TWO, "ways_in.weibo", "树枝压线", {"way": "微博"}, way="weibo"),
    case("2 by WeChat", TWO, "ways_in.wechat", "树枝压线", {"way": "微信"}, way="wechat"),
    case("3 a person", THREE, "parties.person", "树枝压线", {"party": "自然人"}, party=PartyType.PERSON),
    case("3 a company", THREE, "parties.legal_person", "厂区停电", {"party": "法人"}, party=PartyType.LEGAL_PERSON),
    case("3 another body", THREE, "parties.organisation", "活动审批", {"party": "其他组织"}, party=PartyType.ORGANISATION),
    case("4 asks", FOUR, "kinds.consultation", "请问公租房申请条件是什么", {"matter.kind": MatterKind.CONSULTATION}, reader="kind"),
    case("4 complains", FOUR, "kinds.complaint", "我要投诉小区物业乱收停车费", {"matter.kind": MatterKind.COMPLAINT}, reader="kind"),
    case("4 needs help", FOUR, "kinds.help", "残疾证丢了不知找谁，求帮忙补办", {"matter.kind": MatterKind.HELP}, reader="kind"),
    case("4 an opinion", FOUR, "kinds.suggestion", "对古城墙保护有一条建议：限制夜间灯光", {"matter.kind": MatterKind.SUGGESTION}, reader="kind"),
    case("4 a break-in", FOUR, "emergencies.110", "有小偷正在撬我家门，我躲在屋里，快来", urgent("110"), "110", reader="emergency"),
    case("4 a birth", FOUR, "emergencies.120", "我老婆羊水破了要生了，快来救护车", urgent("120"), "120", reader="emergency"),
    case("4 a crash", FOUR, "emergencies.122", "刚刚摩托车和货车相撞，人躺在地上", urgent("122"), "122", reader="emergency"),
    case("4 what is urgent is not for it", FOUR, "emergencies.119", "有孩子掉进江里了，快来救人", urgent("119"), "119", reader="emergency"),
    case("4 a drill is not urgent", FOUR, "emergencies.119", "学校下周组织消防演练，家长想参加", CALM, reader="emergency"),
    case("6 everything is echoed", SIX, "rights.answer", "树枝的事反映过了，一直没人来处理", {"fields.cues.chase": True, "flags": frozenset()}),
    case("letters a letter", LETTERS, "ways_in.letter", "树枝压线", {"way": "书信"}, way="letter"),
    case("letters a fax", LETTERS, "ways_in.fax", "树枝压线", {"way": "传真"}, way="fax"),
    case("letters a visit", LETTERS, "ways_in.visit", "树枝压线", {"way": "走访"}, way="visit"),
    case("letters a call", LETTERS, "ways_in.telephone", "树枝压线", {"way": "12345电话"}, way="telephone"),
    case("letters a mail", LETTERS, "ways_in.mail", "树枝压线", {"way": "市长信箱"}, way="mail"),
    case("a limit of our own", None, "limits.一般诉求", "树枝压线", until(12, 2), "系统设定"),
)  # fmt: skip
