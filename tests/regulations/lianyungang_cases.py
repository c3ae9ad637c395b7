"""Lianyungang, part by part: its notice has no articles."""

from __future__ import annotations

from datetime import datetime

from normalizer.model import MatterKind, PartyType
from tests.regulations.cases import ACCEPTED, ZONE, Case, case, doubt, until, urgent

ONE, TWO, THREE, FOUR = "第一部分", "第二部分", "第三部分", "第四部分"

CASES: tuple[Case, ...] = (
    case("1 the people", ONE, "parties.person", "海堤护栏断裂", {"party": "人民群众"}, party=PartyType.PERSON),
    case("1 informs", ONE, "kinds.report", "举报渔港有人非法电鱼", {"matter.kind": MatterKind.REPORT}, reader="kind"),
    case("1 informs, chosen", ONE, "kinds.report", "非法电鱼", {"kind": "举报"}, "kind.stated", kind=MatterKind.REPORT, way="app"),
    case("1 proposes", ONE, "kinds.suggestion", "建议沙滩旺季增派救生员", {"matter.kind": MatterKind.SUGGESTION}, reader="kind"),
    case("1 complains", ONE, "kinds.complaint", "投诉景区停车场乱收费", {"matter.kind": MatterKind.COMPLAINT}, reader="kind"),
    case("2 by telephone", TWO, "ways_in.telephone", "护栏断裂", {"way": "12345电话"}, way="telephone"),
    case("2 asks", TWO, "kinds.consultation", "想咨询一下渔船年检需要什么手续", {"matter.kind": MatterKind.CONSULTATION}, reader="kind"),
    case("2 needs relief", TWO, "kinds.help", "台风把房顶掀了，一家老小没地方住，请求救助", {"matter.kind": MatterKind.HELP}, reader="kind"),
    case("2 an opinion", TWO, "kinds.suggestion", "对港城大道的规划提一点意见建议", {"matter.kind": MatterKind.SUGGESTION}, reader="kind"),
    case("2 criticises an unkept promise", TWO, "kinds.complaint", "供水公司承诺三天修好，半个月了没兑现，我要投诉", {"matter.kind": MatterKind.COMPLAINT}, reader="kind"),
    case("2 anything else", TWO, "kinds.other", "有个情况", {"kind": "其他需要政府协调解决的问题"} | ACCEPTED, kind=MatterKind.OTHER),
    case("2 the manners of a civil servant", TWO, "rights.complaint_about_staff", "投诉12345热线的工作人员推诿", {"matter.about_hotline_staff": True} | ACCEPTED, "staff.in_text"),
    case("3 at night", THREE, "hours", "海边路灯全灭", ACCEPTED, received=datetime(2026, 11, 28, 2, 30, tzinfo=ZONE)),
    case("3 by telephone at night", THREE, "ways_in.telephone", "路灯全灭", {"way": "12345电话"}, way="telephone", received=datetime(2026, 11, 28, 2, 30, tzinfo=ZONE)),
    case("3 written down", THREE, "records.content", "码头油污上岸", {"matter.content": "码头油污上岸"}, way="telephone"),
    case("3 answered directly", THREE, "dispositions.answered_on_the_spot", "问渡轮班次", {"matter.disposition": "answered_on_the_spot"}, way="telephone", disposition="answered_on_the_spot", answer="每小时一班"),
    case("3 passed on", THREE, "dispositions.to_handle", "渡轮停航", {"matter.disposition": "to_handle"}, way="telephone"),
    case("3 the judiciary's", THREE, "grounds.litigation", "法院判了我输，我不服判决，请市政府推翻", doubt("refer", "litigation"), "第三部分", "人民法院", reader="acceptance"),
    case("3 discipline's", THREE, "grounds.discipline", "举报某镇镇长贪污扶贫款", doubt("refer", "discipline"), "第三部分", "12388", reader="acceptance"),
    case("3 an answer wanted", THREE, "rights.answer", "反映的油污至今没人处理，催一下", {"fields.cues.chase": True, "flags": frozenset()}),
    case("4 from the consumers' platform", FOUR, "platforms.12315", "网购退货被拒", {"platform": "消费者投诉举报热线", "way": "二级平台转来"} | until(12, 4), way="partner", platform="12315"),
    case("4 passed on by a platform", FOUR, "ways_in.partner", "转来一件", {"way": "二级平台转来"}, way="partner", platform="12319"),
    case("4 from the farmers' platform", FOUR, "platforms.12316", "稻苗成片枯死", {"platform": "三农服务热线"}, way="partner", platform="12316"),
    case("4 from the builders' platform", FOUR, "platforms.12319", "井盖缺失", {"platform": "城建服务热线"}, way="partner", platform="12319"),
    case("4 from the labour platform", FOUR, "platforms.12333", "社保断缴", {"platform": "人力资源和社会保障热线"}, way="partner", platform="12333"),
    case("4 from the directory", FOUR, "platforms.114", "查号转来", {"platform": "号码百事通（社会服务热线）"}, way="partner", platform="114"),
    case("4 a consumer's own words", FOUR, "platforms.12315", "超市卖假货还缺斤短两，属于消费纠纷", {"matter.linked_platform": "12315"}, reader="platform"),
    case("4 a farmer's own words", FOUR, "platforms.12316", "买到假种子，种下去不出苗，农资店不认账", {"matter.linked_platform": "12316"}, reader="platform"),
    case("4 wages", FOUR, "platforms.12333", "公司拖欠工资三个月也不给交社保", {"matter.linked_platform": "12333"}, reader="platform"),
    case("4 a robbery", FOUR, "emergencies.110", "救命，有人正在抢劫便利店", urgent("110"), "110", reader="emergency"),
    case("4 a fire", FOUR, "emergencies.119", "仓库起火了，火越烧越大", urgent("119"), "119", reader="emergency"),
    case("4 an injury", FOUR, "emergencies.120", "工地有人从架子上摔下来，流了好多血，快叫救护车", urgent("120"), "120", reader="emergency"),
    case("a limit of our own", None, "limits.一般诉求", "护栏断裂", until(12, 2), "系统设定"),
)  # fmt: skip
