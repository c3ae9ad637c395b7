"""The mayor's telephone, section by section: its rules of work have no articles."""

from __future__ import annotations

from normalizer.model import MatterKind, PartyType
from tests.regulations.cases import ACCEPTED, RECEIVED, Case, case, until, urgent

DUTY_TWO, DUTY_THREE, DUTY_SIX = "主要职责二", "主要职责三", "主要职责六"
SYSTEM, PRINCIPLE = "运行方式", "工作原则"
REGISTER, MAJOR = "工作程序（一）", "工作程序（二）3"
CONSUMERS = "法律依据：消费者权益保护法第四十六条"
INFORMANTS = "法律依据：反不正当竞争法第十六条"

CASES: tuple[Case, ...] = (
    case("duty 2 the people", DUTY_TWO, "parties.person", "广场舞太吵", {"party": "群众"}, party=PartyType.PERSON),
    case("duty 2 criticises", DUTY_TWO, "kinds.complaint", "批评城管局只收费不管事，投诉多次没人理", {"matter.kind": MatterKind.COMPLAINT} | ACCEPTED, reader="kind"),
    case("duty 2 proposes", DUTY_TWO, "kinds.suggestion", "建议市里给老旧小区统一装充电桩", {"matter.kind": MatterKind.SUGGESTION}, reader="kind"),
    case("duty 2 a sudden event", DUTY_TWO, "emergencies.119", "居民楼塌了一角，有人被压在下面", urgent("119"), "119", reader="emergency"),
    case("duty 2 a brawl", DUTY_TWO, "emergencies.110", "有人持刀冲进学校了，快派警察", urgent("110"), "110", reader="emergency"),
    case("duty 2 many ill", DUTY_TWO, "emergencies.120", "食堂几十个学生呕吐昏倒，疑似食物中毒，快来救护车", urgent("120"), "120", reader="emergency"),
    case("duty 2 a pile-up", DUTY_TWO, "emergencies.122", "高架上刚发生连环追尾，五六辆车撞在一起", urgent("122"), "122", reader="emergency"),
    case("duty 3 a difficulty of daily life", DUTY_THREE, "kinds.help", "暖气片漏水泡了全屋，联系不上物业，求帮忙", {"matter.kind": MatterKind.HELP}, reader="kind"),
    case("duty 3 help, chosen", DUTY_THREE, "kinds.help", "暖气漏水", {"kind": "求助"}, "kind.stated", kind=MatterKind.HELP, way="app"),
    case("duty 6 the mailbox", DUTY_SIX, "ways_in.mail", "广场舞太吵", {"way": "市长信箱"}, way="mail"),
    case("duty 6 a letter", DUTY_SIX, "ways_in.letter", "广场舞太吵", {"way": "群众来信"}, way="letter"),
    case("system asks", SYSTEM, "kinds.consultation", "请问老年公交卡在哪里年审", {"matter.kind": MatterKind.CONSULTATION}, reader="kind"),
    case("system asks, chosen", SYSTEM, "kinds.consultation", "公交卡年审", {"kind": "咨询"}, "kind.stated", kind=MatterKind.CONSULTATION, way="app"),
    case("system needs help", SYSTEM, "kinds.help", "独居老人忘带钥匙进不了门，求助社区帮忙", {"matter.kind": MatterKind.HELP}, reader="kind"),
    case("system an opinion", SYSTEM, "kinds.suggestion", "建议公园晚上延长亮灯时间", {"matter.kind": MatterKind.SUGGESTION}, reader="kind"),
    case("system complains", SYSTEM, "kinds.complaint", "投诉公交司机甩站不停", {"matter.kind": MatterKind.COMPLAINT}, reader="kind"),
    case("principle everything is answered", PRINCIPLE, "rights.answer", "反映的噪音一直没人管，什么时候处理", {"fields.cues.chase": True, "flags": frozenset()}),
    case("order 1 the telephone", REGISTER, "ways_in.telephone", "路边积水", {"way": "市长公开电话"}, way="telephone"),
    case("order 1 name", REGISTER, "records.name", "路边积水", {"matter.party.name": "赵某某"}, way="telephone", name="赵某某"),
    case("order 1 unit", REGISTER, "records.unit", "路边积水", {"matter.party.unit": "甲乙丙商店"}, way="telephone", unit="甲乙丙商店"),
    case("order 1 number", REGISTER, "records.contact_phone", "路边积水", {"matter.party.contact_phone": "+8600000000001"}, "phone.stated", way="telephone", phone="+8600000000001"),
    case("order 1 time", REGISTER, "records.received_at", "路边积水", {"matter.received_at": RECEIVED}, way="telephone"),
    case("order 1 content", REGISTER, "records.content", "路边积水，孩子上学难", {"matter.content": "路边积水，孩子上学难"}, way="telephone"),
    case("order 2.1 answered directly", "工作程序（二）1", "dispositions.answered_on_the_spot", "问政策", {"matter.disposition": "answered_on_the_spot"}, way="telephone", disposition="answered_on_the_spot", answer="已说明"),
    case("order 2.2 passed on", "工作程序（二）2", "dispositions.to_handle", "路边积水", {"matter.disposition": "to_handle"}, way="telephone"),
    case("order 2.3 a danger to life", MAJOR, "emergencies.120", "三个工人在井下中毒昏迷，快救人", urgent("120"), "120", reader="emergency"),
    case("order 2.3 a danger to property", MAJOR, "emergencies.110", "一伙人正拿着铁棍砸我们店，还打伤了人", urgent("110"), "110", reader="emergency"),
    case("order 2.3 a crash", MAJOR, "emergencies.122", "刚才大货车和面包车相撞，横在路口", urgent("122"), "122", reader="emergency"),
    case("order 2.3 a fire", MAJOR, "emergencies.119", "化工厂刚刚爆炸起火，浓烟滚滚", urgent("119"), "119", reader="emergency"),
    case("order 3.1 seven working days, thirty with consent", "工作程序（三）1", "limits.一般诉求", "路边积水", until(12, 4), "7个工作日", "可延长至30个工作日", "工作程序（三）1"),
    case("order 3.2 the result is told", "工作程序（三）2", "rights.answer", "我反映的积水处理得怎么样了", {"fields.cues.status": True}),
    case("law 46 a consumer", CONSUMERS, "limits.消费者投诉", "买到过期奶粉", until(12, 4), "消费者投诉：7个工作日（", "第四十六条", way="partner", platform="12315"),
    case("law 16 an informant is kept secret", INFORMANTS, "confidentiality", "有商家串通涨价", {"matter.confidential": True}, "严格保密", confidential=True),
    case("law 16 informs without asking", INFORMANTS, "confidentiality", "举报同行商业贿赂、虚假宣传", {"matter.confidential": True}, "严格保密", reader="confidential"),
)  # fmt: skip
