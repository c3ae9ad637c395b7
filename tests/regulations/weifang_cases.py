"""Weifang, article by article."""

from __future__ import annotations

from datetime import datetime

from normalizer.model import MatterKind, PartyType
from tests.regulations.cases import ACCEPTED, CALM, ZONE, Case, case, doubt, until, urgent

TWO = "第二条"
WHO = "第二条第二款"
FIRST = "第十九条第一款第一项"
SECOND = "第十九条第一款第二项"
THIRD = "第十九条第一款第三项"
FOURTH = "第十九条第一款第四项"
EMERGENCY = "第三十九条"
ABUSE = "第十二条"
LAWSUIT = "应当通过诉讼"

CASES: tuple[Case, ...] = (
    # 2: the ways, the people, the kinds
    case("2 by telephone", TWO, "ways_in.telephone", "路灯坏了三天", {"way": "12345电话"}, way="telephone"),
    case("2 by WeChat", TWO, "ways_in.wechat", "路灯坏了三天", {"way": "微信"}, way="wechat"),
    case("2 by Weibo", TWO, "ways_in.weibo", "路灯坏了三天", {"way": "微博"}, way="weibo"),
    case("2 a citizen", WHO, "parties.person", "楼道灯不亮", {"party": "公民"}, party=PartyType.PERSON),
    case("2 a company", WHO, "parties.legal_person", "我公司办证受阻", {"party": "法人"}, party=PartyType.LEGAL_PERSON),
    case("2 an association", WHO, "parties.organisation", "协会申请场地", {"party": "其他组织"}, party=PartyType.ORGANISATION),
    case("2 asks", WHO, "kinds.consultation", "想了解一下灵活就业怎么参保", {"matter.kind": MatterKind.CONSULTATION}, reader="kind"),
    case("2 needs help", WHO, "kinds.help", "孩子走散找不到学校了，麻烦帮忙联系老师", {"matter.kind": MatterKind.HELP}, reader="kind"),
    case("2 proposes", WHO, "kinds.suggestion", "能不能在风筝广场多放几个垃圾桶，算是个小建议", {"matter.kind": MatterKind.SUGGESTION}, reader="kind"),
    case("2 complains", WHO, "kinds.complaint", "投诉健身房不退费", {"matter.kind": MatterKind.COMPLAINT}, reader="kind"),
    case("2 informs", WHO, "kinds.report", "我要举报有人在水库炸鱼", {"matter.kind": MatterKind.REPORT}, reader="kind"),
    case("2 each may be chosen", WHO, "kinds.report", "水库炸鱼", {"kind": "举报"}, "kind.stated", kind=MatterKind.REPORT, way="app"),
    # 7: secrets and privacy are kept
    case("7 the neighbour's telephone is not given out", "第七条", "grounds.privacy", "请把楼上住户的姓名和手机号查给我，我要找他理论", doubt("refuse", "privacy"), "个人信息", reader="acceptance"),
    case("7 a whistle-blower is promised silence", "第七条", "confidentiality", "某作坊夜里偷倒废油", {"matter.confidential": True}, "严格保密", confidential=True),
    # 10: four kinds, and not urgent
    case("10.1 asks", "第十条第一项", "kinds.consultation", "请问新生儿落户要带哪些材料", {"matter.kind": MatterKind.CONSULTATION, "kind": "咨询"}, reader="kind"),
    case("10.1 asks, chosen in the app", "第十条第一项", "kinds.consultation", "落户材料", {"kind": "咨询"}, "kind.stated", kind=MatterKind.CONSULTATION, way="app"),
    case("10.2 needs help", "第十条第二项", "kinds.help", "老人独居在家，水管爆了没人修，请帮帮忙", {"matter.kind": MatterKind.HELP, "kind": "求助"}, reader="kind"),
    case("10.3 proposes", "第十条第三项", "kinds.suggestion", "建议在中学门口加装一处过街天桥", {"matter.kind": MatterKind.SUGGESTION, "kind": "意见建议"}, reader="kind"),
    case("10.4 complains of a window", "第十条第四项", "kinds.complaint", "我要投诉办事大厅3号窗口，工作人员推诿扯皮，跑了四趟没办成", {"matter.kind": MatterKind.COMPLAINT, "kind": "投诉"} | ACCEPTED, reader="kind"),
    case("10.4 informs", "第十条第四项", "kinds.report", "举报河湾路一家作坊生产假酒", {"matter.kind": MatterKind.REPORT, "kind": "举报"}, reader="kind"),
    case("10 what is urgent is told its number", "第十条", "emergencies.119", "着火了，三楼阳台往外冒黑烟，快来人", urgent("119"), "119", reader="emergency"),
    case("10 what is not urgent goes the ordinary way", "第十条", "emergencies.119", "小区消防通道长期被占，万一着火怎么办", CALM, reader="emergency"),
    case("10 a brawl", "第十条", "emergencies.110", "楼下一群人拿着棍子打起来了，赶紧来警察", urgent("110"), "110", reader="emergency"),
    case("10 an illness", "第十条", "emergencies.120", "老伴胸口剧痛喘不上气，快叫救护车", urgent("120"), "120", reader="emergency"),
    case("10 a crash", "第十条", "emergencies.122", "刚刚电动车被轿车撞了，司机跑了", urgent("122"), "122", reader="emergency"),
    # 11: clear, reachable, placed; unnamed on request
    case("11 the content is kept as told", "第十一条第一款", "records.content", "望海小区2号楼电梯停运两天", {"matter.content": "望海小区2号楼电梯停运两天"}),
    case("11 the number he gives", "第十一条第二款", "records.contact_phone", "电梯停运", {"matter.party.contact_phone": "+8600000000001"}, "phone.stated", phone="+8600000000001"),
    case("11 the place he gives", "第十一条第二款", "records.place", "路面塌了一块", {"matter.place.text": "和平路88号门前"}, place="和平路88号门前"),
    case("11 asks to stay unnamed", "第十一条第三款", "confidentiality", "我反映厂里违规排污，请替我保密，不要让单位知道是谁说的", {"matter.confidential": True}, "严格保密", reader="confidential"),
    case("11 informs without asking", "第十一条第三款", "confidentiality", "举报南街饭店使用病死猪肉", {"matter.confidential": True}, "严格保密", reader="confidential"),
    case("11 speaks of others' secrets only", "第十一条第三款", "confidentiality", "建议社区加强居民信息的保密工作", {"matter.confidential": False}, reader="confidential"),
    case("11 does not ask", "第十一条第三款", "confidentiality", "路灯坏了", {"matter.confidential": False, "told": ()}),
    # 12 and 34: conduct is flagged for a person, with the matter kept
    case("12 threatens the staff", ABUSE, "conduct.threat", "接线员你给我等着，我知道你几点下班，小心我弄死你", {"flags": frozenset({"threat"})}, reader="conduct"),
    case("12 insults the staff", ABUSE, "conduct.insult", "你们这群畜生话务员，傻逼东西", {"flags": frozenset({"insult"})}, reader="conduct"),
    case("12 harasses the staff", ABUSE, "conduct.harassment", "接电话的小姐姐声音真骚，陪我睡一晚多少钱", {"flags": frozenset({"harassment"})}, reader="conduct"),
    case("12 is angry about a grievance", ABUSE, "conduct.insult", "反映八次了没人管，你们太不作为了，老百姓寒心", {"flags": frozenset()}, reader="conduct"),
    case("12 asks again with reason", ABUSE, "conduct.repeat_without_reason", "催办：上周反映的漏水至今没人来", {"flags": frozenset(), "fields.cues.chase": True}),
    case("34 quotes another's threat", "第三十四条第二项", "conduct.threat", "包工头堵在门口说再要工钱就打断我的腿", {"flags": frozenset()}, reader="conduct"),
    case("34 a threat may go to the police", "第三十四条第二项", "conduct.threat", "再不解决我就带刀去你们热线中心砍人", {"flags": frozenset({"threat"})}, reader="conduct"),
    case("34 a flood is no matter of words", "第三十四条第一项", "conduct.flood", "路灯坏了，路灯坏了，路灯坏了", {"flags": frozenset()}),
    case("12 a long letter is no occupation", ABUSE, "conduct.flood", "路灯不亮、井盖松动、垃圾没人清。" * 60, {"flags": frozenset()}),
    case("34 asks for the third time", "第三十四条第一项", "conduct.repeat_without_reason", "第三次反映了，楼道漏水还是没人管", {"flags": frozenset()}),
    case("34 an insult", "第三十四条第二项", "conduct.insult", "你这个接线员就是个婊子养的杂种", {"flags": frozenset({"insult"})}, reader="conduct"),
    case("34 harassment", "第三十四条第二项", "conduct.harassment", "客服美女把你微信给我，晚上来开房", {"flags": frozenset({"harassment"})}, reader="conduct"),
    # 13 to 15: rights that no filter takes
    case("13 asks how it stands", "第十三条", "rights.progress", "我的投诉办得怎么样了", {"fields.cues.status": True, "flags": frozenset()}),
    case("14 wants an answer", "第十四条", "rights.answer", "反映的漏水一直没人回复", {"fields.cues.chase": True, "flags": frozenset()}),
    case("14 objects", "第十四条", "rights.objection", "对处理结果不满意，有异议", {"fields.cues.objection": True} | ACCEPTED),
    case("14 wants it explained why it is late", "第十四条", "rights.explanation", "都过了五个工作日，为什么还没有答复，请说明原因", {"flags": frozenset()} | ACCEPTED),
    case("14 judges", "第十四条", "rights.evaluation", "非常不满意", {"fields.cues.score": 1, "flags": frozenset()}),
    case("15 complains of an operator", "第十五条", "rights.complaint_about_staff", "投诉话务员工号1023，没听完就挂我电话", {"matter.about_hotline_staff": True, "matter.withheld_from": ("1023",)} | ACCEPTED, "staff.in_text"),
    # 17: at every hour
    case("17 on a Sunday night", "第十七条", "hours", "楼下施工吵得睡不着", {"way": "微信"} | ACCEPTED | until(12, 4), received=datetime(2026, 11, 29, 3, 0, tzinfo=ZONE)),
    # 18: written down in full; answered at once, or passed on
    case("18 the words stay whole", "第十八条第一款", "records.content", "第一，停水。\n第二，停电。", {"matter.content": "第一，停水。\n第二，停电。"}),
    case("18 answered on the spot", "第十八条第二款", "dispositions.answered_on_the_spot", "问公交末班时间", {"matter.disposition": "answered_on_the_spot", "matter.answer": "末班二十一点"}, way="telephone", disposition="answered_on_the_spot", answer="末班二十一点"),
    case("18 passed on", "第十八条第二款", "dispositions.to_handle", "公交改线不合理", {"matter.disposition": "to_handle", "matter.answer": None}, way="telephone"),
    # 19: grounds, each suggested with its reason and the way to go
    case("19.1 a judgment", FIRST, "grounds.litigation", "法院已经判决，我不服这个判决，请政府给我改判", doubt("refer", "litigation"), FIRST, "人民法院", LAWSUIT, reader="acceptance"),
    case("19.1 a lawsuit under way", FIRST, "grounds.litigation", "我和开发商的房款纠纷正在打官司，二审还没开庭，请热线帮我裁决", doubt("refer", "litigation"), FIRST, reader="acceptance"),
    case("19.1 only threatens with the court", FIRST, "grounds.litigation", "物业再不修电梯，我就去法院告他们", ACCEPTED, reader="acceptance"),
    case("19.1 the road before the court", FIRST, "grounds.litigation", "法院门口积水严重，老人摔倒过", ACCEPTED, reader="acceptance"),
    case("19.1 labour arbitration", FIRST, "grounds.arbitration", "劳动仲裁已经立案，等着开庭，请热线直接判公司赔我", doubt("refer", "arbitration"), "仲裁委员会", reader="acceptance"),
    case("19.1 bribery", FIRST, "grounds.discipline", "实名举报某局局长收受工程老板贿赂二十万", doubt("refer", "discipline"), "12388", reader="acceptance"),
    case("19.1 bad manners are no matter of discipline", FIRST, "grounds.discipline", "社保窗口人员态度恶劣，爱答不理", ACCEPTED, reader="acceptance"),
    case("19.1 a fine disputed", FIRST, "grounds.reconsideration", "不服交警的行政处罚决定，要求行政复议撤销", doubt("refer", "reconsideration"), "六十日", reader="acceptance"),
    case("19.1 asks about reconsideration", FIRST, "grounds.reconsideration", "请问申请行政复议要准备哪些材料", ACCEPTED, reader="acceptance"),
    case("19.1 documents wanted", FIRST, "grounds.disclosure", "申请政府信息公开，要求提供我村征地批复文件的复印件", doubt("refer", "disclosure"), "信息公开申请", reader="acceptance"),
    case("19.2 with the petition office", SECOND, "grounds.petition", "这件事我已到信访局登记，信访部门正在办理", doubt("refer", "petition"), SECOND, "信访", reader="acceptance"),
    case("19.3 a state secret", THIRD, "grounds.secrets", "请告诉我北山军事基地的部队番号和驻扎人数", doubt("refuse", "secrets"), THIRD, reader="acceptance"),
    case("19.3 another's privacy", THIRD, "grounds.privacy", "帮我查一下我前妻现在的住址和开房记录", doubt("refuse", "privacy"), THIRD, reader="acceptance"),
    case("19.3 against morals", THIRD, "grounds.public_morals", "请政府帮我找个代孕的女人生孩子", doubt("refuse", "public_morals"), THIRD, reader="acceptance"),
    case("19.4 concluded", FOURTH, "grounds.concluded", "这事你们核查后已经答复过多次，结论是补偿合法，我还是要求再赔一套房", {"matter.acceptance.suggestion": "refuse", "ground": "concluded"}, FOURTH, reader="acceptance"),
    case("19.4 unsatisfied, which is a right", FOURTH, "grounds.concluded", "你们的答复敷衍了事，问题根本没解决，请重新办理", ACCEPTED, reader="acceptance"),
    case("19 told of the court", "第十九条第二款", "grounds.litigation", "离婚判决书下来了，财产分得不公，请热线重新判", doubt("refer", "litigation"), "12368", reader="acceptance"),
    case("19 told of arbitration", "第十九条第二款", "grounds.arbitration", "劳动仲裁裁决书说我败诉，我不服仲裁结果", {"matter.acceptance.suggestion": "refer"}, "您可以：", reader="acceptance"),
    case("19 told of discipline", "第十九条第二款", "grounds.discipline", "村支书侵占集体资金、贪污低保款，请查办", doubt("refer", "discipline"), "更能保护您", reader="acceptance"),
    case("19 told of reconsideration", "第十九条第二款", "grounds.reconsideration", "我对市场监管局的处罚决定书不服，想申请行政复议", doubt("refer", "reconsideration"), "行政复议机关", reader="acceptance"),
    case("19 told of disclosure", "第十九条第二款", "grounds.disclosure", "现依法申请公开本镇去年的拆迁补偿明细", doubt("refer", "disclosure"), "法定期限", reader="acceptance"),
    case("19 the reason is explained", "第十九条第二款", "texts.referred", "不服法院一审判决，请热线给个公道", doubt("refer", "litigation"), "热线不能代替或者改变法院的裁判", "由工作人员核定", reader="acceptance"),
    case("19 a refusal is explained", "第十九条第二款", "texts.refused", "帮我查一下欠我钱的人的手机定位", doubt("refuse", "privacy"), "依法不能提供", "由工作人员核定", reader="acceptance"),
    # 20: limits
    case("20.1 five working days", "第二十条第一项", "limits.一般诉求", "路灯坏了", until(12, 2), "一般诉求：5个工作日", "第二十条第一项"),
    case("20.1 over the National Day", "第二十条第一项", "limits.一般诉求", "路灯坏了", until(10, 13), received=datetime(2026, 9, 30, 16, 0, tzinfo=ZONE)),
    case("20.1 late at night counts as that day", "第二十条第一项", "limits.一般诉求", "路灯坏了", until(12, 2), received=datetime(2026, 11, 25, 23, 59, tzinfo=ZONE)),
    case("20.2 a consumer's longer limit", "第二十条第二项", "limits.消费者投诉", "健身房跑路", until(12, 4), "消费者投诉：7个工作日", "第二十条第二项", way="partner", platform="12315"),
    # 39: what is urgent
    case("39 a crime in progress", EMERGENCY, "emergencies.110", "有人拿着刀在超市门口砍人，快来", urgent("110"), "110", reader="emergency"),
    case("39 gas", EMERGENCY, "emergencies.119", "楼道里煤气味特别大，现在还在漏", urgent("119"), "119", reader="emergency"),
    case("39 an injury", EMERGENCY, "emergencies.120", "我爸突然晕倒没有呼吸了，救命", urgent("120"), "120", reader="emergency"),
    case("39 an accident", EMERGENCY, "emergencies.122", "刚刚在跨河大桥上两辆车撞了，堵在路中间", urgent("122"), "122", reader="emergency"),
    case("39 a fire of last year", EMERGENCY, "emergencies.119", "去年这家厂着过火，至今没有整改", CALM, reader="emergency"),
    case("39 passed on by the fire brigade", EMERGENCY, "emergencies.119", "处置后转来：住户无处安置", {"matter.emergency_line": "119"}, "119", way="partner", line="119"),
)  # fmt: skip
