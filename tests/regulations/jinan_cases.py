"""Jinan, article by article, as far as its published text goes."""

from __future__ import annotations

from normalizer.model import MatterKind, PartyType
from tests.regulations.cases import ACCEPTED, Case, case, doubt, until

TWO, THREE = "第二条", "第三条"

CASES: tuple[Case, ...] = (
    case("2 by telephone", TWO, "ways_in.telephone", "井盖松动", {"way": "12345电话"}, way="telephone"),
    case("2 by the mayor's mailbox", TWO, "ways_in.mail", "井盖松动", {"way": "市长信箱"}, way="mail"),
    case("2 by SMS", TWO, "ways_in.phone", "井盖松动", {"way": "短信"}, way="phone"),
    case("2 by the app", TWO, "ways_in.app", "井盖松动", {"way": "手机客户端"}, way="app"),
    case("2 by Weibo", TWO, "ways_in.weibo", "井盖松动", {"way": "微博"}, way="weibo"),
    case("2 by WeChat", TWO, "ways_in.wechat", "井盖松动", {"way": "微信"}, way="wechat"),
    case("3 a person", THREE, "parties.person", "楼上漏水", {"party": "自然人"}, party=PartyType.PERSON),
    case("3 a company", THREE, "parties.legal_person", "开户难", {"party": "法人"}, party=PartyType.LEGAL_PERSON),
    case("3 another body", THREE, "parties.organisation", "场地难", {"party": "其他组织"}, party=PartyType.ORGANISATION),
    case("3 asks", THREE, "kinds.consultation", "咨询居住证怎么办理", {"matter.kind": MatterKind.CONSULTATION}, reader="kind"),
    case("3 needs help", THREE, "kinds.help", "家里停电一整天，老人用着呼吸机，求助尽快抢修", {"matter.kind": MatterKind.HELP}, reader="kind"),
    case("3 proposes", THREE, "kinds.suggestion", "建议延长夜班公交的运营时间", {"matter.kind": MatterKind.SUGGESTION}, reader="kind"),
    case("3 complains", THREE, "kinds.complaint", "投诉楼下KTV每晚十二点以后噪音扰民", {"matter.kind": MatterKind.COMPLAINT}, reader="kind"),
    case("3 informs", THREE, "kinds.report", "举报城郊一处黑加油点非法经营", {"matter.kind": MatterKind.REPORT}, reader="kind"),
    case("3 chosen in the app", THREE, "kinds.suggestion", "夜班公交", {"kind": "建议"}, "kind.stated", kind=MatterKind.SUGGESTION, way="app"),
    case("3 beyond the city", THREE, "grounds.out_of_area", "这里的路灯坏了", doubt("refer", "out_of_area"), "第三条", "区号加12345", place="青岛市市南区海风路1号", division="370202", reader="acceptance"),
    case("3 within the city", THREE, "grounds.out_of_area", "这里的路灯坏了", ACCEPTED, place="济南市历下区泉边路1号", division="370102"),
    case("10 a whistle-blower is promised silence", "第十条", "confidentiality", "有工厂偷排", {"matter.confidential": True}, "严格保密", confidential=True),
    case("10 asks to stay unnamed", "第十条", "confidentiality", "反映老板欠薪，请对我的姓名和电话保密", {"matter.confidential": True}, "严格保密", reader="confidential"),
    case("11.1 everything is taken", "第十一条第一项", "dispositions.to_handle", "公园厕所脏", {"matter.disposition": "to_handle"} | ACCEPTED),
    case("14 a person", "第十四条", "parties.person", "想反映一件事", {"party": "自然人"} | ACCEPTED, party=PartyType.PERSON),
    case("14 a company", "第十四条", "parties.legal_person", "园区道路破损", {"party": "法人"} | ACCEPTED, party=PartyType.LEGAL_PERSON),
    case("14 another body", "第十四条", "parties.organisation", "商会提建议", {"party": "其他组织"} | ACCEPTED, party=PartyType.ORGANISATION),
    case("14.1 asks for public information", "第十四条第一项", "kinds.consultation", "请问图书馆周末几点关门", {"matter.kind": MatterKind.CONSULTATION}, reader="kind"),
    case("14.2 something to be solved", "第十四条第二项", "kinds.help", "孩子入学材料丢失，请帮忙协调补办", {"matter.kind": MatterKind.HELP}, reader="kind"),
    case("14.3 an opinion on building the city", "第十四条第三项", "kinds.suggestion", "希望老城改造时多留些绿地，提个建议", {"matter.kind": MatterKind.SUGGESTION}, reader="kind"),
    case("14.4 the style of an office", "第十四条第四项", "kinds.complaint", "投诉街道办工作人员办事拖拉、态度生硬", {"matter.kind": MatterKind.COMPLAINT} | ACCEPTED, reader="kind"),
    case("14.4 an office reported", "第十四条第四项", "kinds.report", "举报某事业单位上班时间集体打牌", {"matter.kind": MatterKind.REPORT}, reader="kind"),
    case("14.4 the hotline's own staff", "第十四条第四项", "rights.complaint_about_staff", "我要投诉你们热线的接线员，态度恶劣", {"matter.about_hotline_staff": True} | ACCEPTED, "staff.in_text"),
    case("14.5 anything else", "第十四条第五项", "kinds.other", "有件事想说", {"kind": "其他需要反映的问题"} | ACCEPTED, kind=MatterKind.OTHER),
    case("15 asks how it stands", "第十五条", "rights.progress", "查询我反映的井盖问题办理进度", {"fields.cues.status": True, "flags": frozenset()}),
    case("a limit of our own", None, "limits.一般诉求", "井盖松动", until(12, 2), "系统设定"),
)  # fmt: skip
