"""Who is spoken of and who speaks: the body complained of or asked about, and for whom the writer stands. Pure, by rule.

Natural persons, legal persons and other organisations may turn to the hotline (Jinan article 3, Weifang article 2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ahocorasick_rs import AhoCorasick, MatchKind

from normalizer.model import PartyType

#: Characters read.
READ = 2_000
#: Bodies looked at.
_MOST = 16
#: Characters of a name before its end.
_LONGEST = 22

#: What the name of a body ends with.
_END_WORDS = (
    "公司 集团 局 公安局 公安分局 公积金中心 公积金管理中心 委员会 委 政府 人民政府 街道办 街道办事处 办事处 派出所 医院 医务室 卫生院 卫生室 卫生服务中心 诊所 学校 小学 中学 大学 "
    "学院 幼儿园 实验学校 职高 技校 驾校 物业 物业中心 物业公司 物业服务中心 物业服务公司 物业处 物业管理处 村委 村委会 居委 居委会 业委会 银行 支行 分行 分理处 信用社 超市 酒店 宾馆 饭店 餐厅 饭馆 "
    "管委会 大队 支队 中队 交警队 消防队 法院 检察院 仲裁委 仲裁委员会 车站 客运站 供电所 水厂 热电厂 电厂 化工厂 水泥厂 加工厂 服装厂 食品厂 造纸厂 纸厂 砖厂 机械厂 工厂 养殖场 屠宰场 停车场 项目部 "
    "管理处 管理站 管理所 收费站 加油站 车管所 房管所 税务所 税务局 服务大厅 政务中心 政务服务中心 服务中心 管理中心 培训中心 购物中心 活动中心 健身中心 体检中心 社保中心 就业中心 登记中心 "
    "指挥中心 疾控中心 培训机构 健身房 健身俱乐部 俱乐部 美容院 养老院 敬老院 福利院 合作社 药店 药房 火锅店 烧烤店 专卖店 奶茶店 美发店 理发店 维修店 足疗店 旗舰店 洗车店 面馆 烤肉店 4S店 4s店 店 商场 "
    "百货 KTV 网吧 酒吧 置业 地产 热力 协会 商会 基金会"
)
_ENDS = tuple(_END_WORDS.split())
#: Behind such an end it is another word.
_UNLESS = {
    "局": re.compile("[部面势长里]"),
    "委": re.compile("(?![，,。不的对乱拖违未])"),
    "政府": re.compile("采购|工作|信息|热线|部门|补贴"),
    "物业": re.compile("费|管理费|纠纷|服务费|税|用房|维修|方|人员"),
    "银行": re.compile("卡|贷|账|流"),
    "店": re.compile("[铺面家主内里外员长门]"),
    "集团": re.compile("[^\\W\\d_]{0,4}公司"),
    "地产": re.compile("公司|集团"),
    "热力": re.compile("公司|集团"),
    "大学": re.compile("[生城]"),
    "小学": re.compile("生"),
    "中学": re.compile("生"),
    "超市": re.compile("里"),
}
#: An address before a name: 5栋1楼红叶超市.
_AT = re.compile("[^\\W_]{0,20}[0-9一二三四五六七八九十](?:号楼|栋|幢|座|楼|层|单元|号)(?=.{2})")
#: A branch behind the name of the whole.
_BRANCH = re.compile("[^\\W\\d_]{2,6}分公司|[^\\W\\d_]{0,5}(?:支行|分行)")
#: Words that are part of no name: it begins behind them.
_STOP_WORDS = (
    "被投诉 被举报 被投诉人 被投诉方 被投诉单位 被投诉对象 被投诉企业 被投诉公司 被举报人 被举报方 被举报单位 被举报对象 被举报企业 被举报公司 投诉 举报 控告 状告 反映 反应 曝光 咨询 请问 想问 问 问一下 问下 关于 对于 "
    "针对 建议 希望 要求 恳请 请求 请 尊敬的 位于 在于 在 于 是 的 了 我们 我 你 您 他们 她 它 他 从 到 与 及 被 把 给 让 由 向 为 因 对 跟 和 就 去 找 打电话 联系 拨打 致电 经过 经 但 而 且 或 各 每 该 这家 那家 这个 那个 这 那 "
    "\u3000 呼吁 支持 拥护 选举 成立 邻近 相关 有关 当地 上级 下属 所属 落实 影响 此 承建商 施工单位 建设单位 包括 加之 加上 并且 设置 西头 东头 南头 北头 人行道 路口 路段 所谓 本 本公司 我公司 我司 我们公司 贵公司 本院 贵院 贵局 更换 换 撤换 罢免 选聘 旁 前 贵 叫 叫做 称 说 等 又 也 都 还 有 没 没有 无 不 今天 昨天 前天 上午 下午 晚上 年 月 日 号 附近 旁边 对面 隔壁 楼下 门口 业主 居民 市民 老板 开发商 承包商 个体 名叫 入职 就职 任职 就读 购买 买 孩子 女儿 儿子 老人 父亲 "
    "母亲 领导 查处 督促 责令 协调 监督 通过 使用 接到 收到 看到 发现 得知 据说 明明 竟然 要 能 可 来 住 进 开设 开办 经营 承建 施工方 物业方 作为 以及 如果 只 一家 一个 两家 几家 名为 存在 属于 归 做 办 上次 之前 现在 目前 已经 已 "
    "再次 多次 强烈 实名 匿名 打给 打 走到 家 里 村民 员工 同事 全 曾 曾经 最近 近期 近日 一直 先 后 再 然后 只有 就是 而是 上 用 得 着 过 吧 吗 呢 啊 呀 去年 今年 前年 涉事 单位 对方 商家 "
    ", . : ; ! ? - ~ / \\ [ ] \" ' ， 。 、 ； ： ！ ？ … — ～ 【 】 《 》 “ ” ‘ ’ 「 」 \n \t | + = # @ & *"
)
_STOPS = tuple(_STOP_WORDS.split(" "))
#: Parts of names although they look like such words.
_KEPT_WORDS = (
    "和平 和谐 和顺 和睦 和美 和泰 和兴 和信 和源 和园 和众 和康 永和 中和 泰和 仁和 祥和 向阳 向荣 为民 有为 有限 有色 无锡 无线 无影 不锈钢 不动产 对外 年华 百年 青年 少年 千年 月亮 月光 明月 月牙 日照 日报 旭日 日月 经济 经营 经开 "
    "经贸 经纬 经典 经十 经一 经二 经三 经四 经七 可口 可爱 能源 家政 家园 家居 家具 家电 家装 家纺 家乐 家和 家长 万家 居家 之家 人家 皇家 王家 李家 张家 刘家 陈家 杨家 赵家 黄家 周家 吴家 徐家 孙家 马家 朱家 胡家 郭家 何家 高家 林家 罗家 "
    "来伊 来福 来宾 进出口 进步 先进 先锋 先行 后勤 上海 上饶 海上 天上 地上 全福 全运 全民 安全 全优 过山 用友 信用 公用 商用 通用 实用 里仁 万里 千里 故里 得力 得利 打虎 打工 住房 住建 住宅 税务 办公 街道办 外办 信访办 管委 全通 "
    "进修 得月 上城 上街 上善 上品 上德 至上 云上 年轮 新华社 号角 名号 一号 家家悦 家家 问道 学问 要塞 紧要 买卖 再生 可再生 过境 着色 经办 本溪 日本 本田 本草 根本 做到 美的 叫化 说唱 传说 等候 信得过 科技 家庭 国家 专家 作家 农家 管家 老家 酒家 商家旺 大家 "
    "检察 公安 能源局 自来水 东来 未来 原来 后来 鸿运来 福来 喜来登 如家 宜家 亿家 到家 全季 全聚德 海底捞 老百姓 为公 有为 国有 同有 和合 共和 祥和 谐和 康和 中和"
)
_KEPT = tuple(_KEPT_WORDS.split(" "))
_LEXICON = [
    *(word for word in dict.fromkeys((*_STOPS, " ")) if word not in _ENDS),
    *(word for word in dict.fromkeys(_KEPT) if word not in _ENDS and word not in _STOPS),
    *_ENDS,
]
_AUTOMATON = AhoCorasick(_LEXICON, matchkind=MatchKind.LeftmostLongest)
#: The first words are those that a name begins behind, the last those that it ends with.
_STOPS_TO = len({*_STOPS, " "} - {*_ENDS})
_ENDS_FROM = len(_LEXICON) - len(_ENDS)
#: Names that name nothing: 物业公司, 开发公司, 有限公司.
_COMMON = re.compile(
    "(?:农村|本村|民营|路边|街边|门口|楼下|附近|小区|物业|开发|房地产|地产|建筑|施工|搬家|快递|物流|保险|装修|装饰|劳务|中介|外卖|保安|保洁|家政|外包|有限|责任|股份|服务|管理|上级|相关|有关|当地|地方|所在|职能|主管|部门|政府|公立|私立|民办|公办|重点|三甲|附近|"
    "大|小|总|分|子|母|新|老|旧|两|几|多|全|外|高|旅游|旅行|网络|贷款|投资|运营|租赁|二手车|汽车|电动车|房屋|教育|培训|定点|正规|大型|小型|连锁|个人|私人|其他|另|同|商业|国有|国企|企业|工程|第三方|供水|供电|"
    "供热|供暖|热力|燃气|自来水|公交|客运|出租车|网约车|中|大中|九年制|义务教育|专科|三级|社区|街道|乡镇|村|镇|乡|市级|县级|各级|基层|开|门|饭|餐饮|酒|商|门面|实体|网|书|花|水果|早餐|小吃|烧烤|火锅|药|理发|宠物|菜|超市|五金|服装|店|公家|人民|一|二|三|名)*+\\Z"
)
#: Before a name, and what they make of it.
_TOLD = re.compile(
    "(?P<accused>被(?:投诉|举报|反映|控告)(?:人|方|单位|对象|企业|公司|机构)?(?:名称)?|投诉对象|举报对象|涉事(?:单位|企业|公司|商家))(?:[:：是为]| ){0,2}\\Z"
    "|(?P<blamed>投诉|举报|控告|状告|曝光|反映|反应|揭发|检举)|(?P<asked>请|咨询|想问|问|希望|恳请|建议|要求)|[，,。；;！？!?\\n]"
)
_WEIGHTS = {"accused": 6.0, "blamed": 3.5, "asked": 2.0}
_ROUTE = (
    "向",
    "找",
    "找过",
    "找了",
    "给",
    "打",
    "打了",
    "打给",
    "拨打",
    "联系",
    "联系了",
    "致电",
    "去",
    "去了",
    "去过",
    "到",
    "问",
    "问了",
    "问过",
    "通过",
    "与",
    "和",
)
_OURSELVES = ("我司", "我公司", "我们公司", "本公司", "我厂", "我单位", "本单位", "我院", "我校", "我方")
_I_AM = ("我们是", "我是", "本人是", "本人系", "作为", "我们系", "我们", "我")
_OWN_BEHIND = re.compile(
    '[（(]?(?:以下简称|下称|简称)?[“"]?(?:我司|我公司|我方|本公司|我们)|(?:现|拟|想|需|特|欲)要?(?:申请|咨询|了解|问|向)|(?:的)?(?:法人|法定代表人|负责人|经办人|老板|代表|经理|办公室)(?!态度|说|不|拒|跑|失联|以|对)'
)
_FAULT = re.compile(
    "[，,。；;！？!?\\n]|(?P<fault>不作为|乱|拖欠|拖着|拒|推诿|推脱|推来|违|欺|虚假|私自|擅自|强制|强行|强迫|偷|克扣|不给|不管|不退|不发|不让|不予|不办|不处理|不解决|不理|态度|工作人员|为由|至今|迟迟|一直|"
    "没有|没人|未|存在|骗|停|关门|跑路|失联|倒闭|收取|收费|涨价|排放|噪音|油烟|污染|扰民|占用|侵占|贪|敷衍|不合理|卖|出售|超时|加班|辞退|罚|断水|断电|烂尾|延期|逾期|要求|说|称|答复|告知|回复|什么时候|几点|多少|"
    "怎么|如何|是否|能不能|可以|能否|电话|上班|营业|预约|地址|严重|太|无证|造假|霸王|服务差|管理|的(?:老师|医生|护士|司机|保安|员工|领导|店员|经理|民警|窗口|院长|校长))"
)
_PLACE = re.compile(
    "(?:的)?(?:对[面过门]|旁|附近|门[口前]|路口|楼[下上]|后面|前面|[东南西北](?:侧|边|面|门|头|段)|隔壁|周边|路段|站(?:台|点)?|家属院|宿舍|十字|往[东南西北]|转盘|公交站|斜对|门外|背后)"
)
_WORKS = re.compile(
    "(?:的)?(?:一名|一个|普通|老|退休|离职|前)?(?:员工|职工|工人|业主|学生|家长|教师|老师|退休|农民工|司机|工作(?!人员)|上班|客户|会员|顾客|患者)"
)
_REPORTED = re.compile("[^，,。；;！？!?\\n]{0,6}?(?:反映|投诉|举报|报案|报警|求助|咨询过|反馈|沟通|打电话|上访|信访)")
_HOTLINE = re.compile("12345|12319|热线|市民服务|信访局?\\Z|便民服务中心|市委|有关部门")
_HEADING = re.compile("(?:的)?(?:各位)?(?:领导|同志|工作人员|局长|负责人)?(?:们)?[，,:： ]*(?:您好|你好|你们好|:|：)")


@dataclass(frozen=True, slots=True)
class Body:
    """A body that a text speaks of."""

    name: str
    #: Its full name as written.
    span: tuple[int, int]
    #: Where it stands.
    rule: str
    #: party.accused, party.blamed, party.asked or party.named.


def target_unit(text: str) -> Body | None:
    """The body that a cleaned text complains of or asks about; not who is written to, nor the writer's own."""
    head = text[:READ]
    best: tuple[float, Body] | None = None
    for count, (start, end) in enumerate(_bodies(head)):
        weight, rule = _weight(head, start, end)
        weight -= count / 20
        if weight > 0 and (best is None or weight > best[0]):
            best = weight, Body(head[start:end], (start, end), rule)
    return best[1] if best else None


def _bodies(text: str) -> Iterator[tuple[int, int]]:
    """Where the names of bodies stand."""
    reached = 0
    matches = _AUTOMATON.find_matches_as_indexes(text)
    for place in [place for place, match in enumerate(matches) if match[0] >= _ENDS_FROM][:_MOST]:
        index, sign, end = matches[place]
        word = _LEXICON[index]
        unless = _UNLESS.get(word)
        if sign < reached or (unless and unless.match(text, end)):
            continue
        start = _begins(text, sign, end, max(reached, sign - _LONGEST, _stopped(matches, place)))
        if start is not None:
            branch = _BRANCH.match(text, end) if word in {"公司", "银行"} else None
            reached = branch.end() if branch else end
            yield start, reached


def _stopped(matches: list[tuple[int, int, int]], place: int) -> int:
    """Where the last word before an end of a name stands that is part of none."""
    for index, _, end in reversed(matches[max(0, place - 12) : place]):
        if index < _STOPS_TO:
            return end
    return 0


def _begins(text: str, sign: int, end: int, start: int) -> int | None:
    """Where the name begins that ends with a sign; None where that is no name."""
    while start < sign and text[start] in "（()）":
        start += 1
    if sign - start > 4 and (address := _AT.match(text, start, sign)):
        start = address.end()
    name = text[start:sign]
    if not name or _COMMON.match(name) or _HOTLINE.search(text[start:end]):
        return None
    if text[sign:end].endswith("政府") and name[-1] not in "市区县镇乡省州":
        return None
    return start if len(name) > 1 or (name in "市区县省镇乡" and end - sign > 1) or name.isascii() else None


def _weight(text: str, start: int, end: int) -> tuple[float, str]:
    """How much a body is the one that is spoken of, and how that shows."""
    clause = text[max(0, start - 8) : start].rstrip("（(")
    if "尊敬的" in clause or (start < 12 and _HEADING.match(text, end)) or _OWN_BEHIND.match(text, end):
        return 0, ""
    if clause.endswith(_OURSELVES) or (clause.endswith(_I_AM) and not _WORKS.match(text, end)):
        return 0, ""
    weight, rule = _told(text, start)
    weight -= clause.endswith(_I_AM)
    fault = _FAULT.search(text, end, end + 18)
    if fault and fault["fault"]:
        weight += 2
    if _PLACE.match(text, end):
        weight -= 2.5
    if clause.endswith(_ROUTE) and _REPORTED.match(text, end):
        weight -= 1.5
    return weight, rule


def _told(text: str, start: int) -> tuple[float, str]:
    """What the words before a body make of it: those of its clause, the weightiest first."""
    kinds = set[str]()
    for word in _TOLD.finditer(text, max(0, start - 20), start):
        if word.lastgroup:
            kinds.add(word.lastgroup)
        else:
            kinds.clear()
    for kind, weight in _WEIGHTS.items():
        if kind in kinds:
            return weight, f"party.{kind}"
    return 1.6, "party.named"


_COMMITTEE = re.compile(
    "(?:[村镇乡]|社区|小区|们)?(?:(?:业主|村民|居民)?委员会|业委会|村委会|居委会|筹备组|协会|商会|工会|合作社|学会)"
)
_NOT_SO = "(?!不|拖|乱|违|拒|一直|工作人员|的(?:人|主任|领导)|没|说)"
_COMMITTEES = "业主委员会|业委会|筹备组|村委会|村民委员会|居委会|居民委员会|社区居委会|协会|商会|学会|联合会|基金会|合作社|志愿者?(?:服务)?队|志愿者?协会|工会|党支部"
_THIS = "(?:(?P<{0}>公司|企业|厂|单位|司)|(?P<{0}o>业委会|协会|商会|学会|合作社){1})"
#: All begin with a sign of their own, so that they are found fast.
_OURS = re.compile(
    "我(?:(?P<legal>司|公司|集团|企业|厂|单位|院|校)(?!门|长|政|花园|小区|宿舍|走)|们(?P<we>公司|企业|厂|单位|学校|医院|集团)"
    f"|们?是?(?P<organisation>[^\\W\\d_也能都要想会没不在就去对向和与被把给找请让跟用有的]{{0,12}}?(?:{_COMMITTEES})){_NOT_SO}"
    "|们?是(?P<named>[^\\W_]{2,24}?(?:公司|集团|企业|工厂|合作社|协会|商会|学校|医院|业委会|村委会|居委会))的?(?P<stands>法人|法定代表人|负责人|老板|代表|经办人|办公室|行政|人事|财务|[，,。]))"
    f"|本{_THIS.format('this', _NOT_SO)}|敝{_THIS.format('humble', '')}|弊{_THIS.format('humbled', '')}"
)
#: Of an employee who says 我们公司 the firm is the adversary.
_EMPLOYED = re.compile(
    "拖欠|欠薪|不发|克扣|辞退|裁员|加班|讨薪|社保|不签|五险|工资|老板|上班时间|休息|劳动合同|离职|辞职|强制员工|体罚|让我|逼"
)
_PERSON = re.compile(
    "本人|我叫|我是(?!不是|说|想|来)(?:一[名位个]|[^，,。；;！？!?\\n]{0,16}?(?:业主|居民|市民|村民|学生|家长|员工|职工|教师|老师|租户|住户|工人|残疾人|老兵|军人|客户|消费者|患者|乘客|司机|个体户|市民|人$))|作为(?:一[名位个]|[^，,。；;！？!?\\n]{0,8}?(?:业主|居民|市民|家长))"
    "|我家|我(?:的)?(?:孩子|儿子|女儿|父亲|母亲|爸|妈|老公|老婆|丈夫|妻子|爱人|爷爷|奶奶|父母|老伴|孙子|孙女|婆婆|岳父|弟弟|哥哥|姐姐|妹妹|媳妇|娃|朋友)|我(?:今年)?[0-9]{2}岁|家住|我住|我个人"
)
_UNITS = (
    (
        PartyType.ORGANISATION,
        re.compile("(?:委员会|委会|协会|商会|学会|联合会|基金会|合作社|工会|志愿.{0,6}队|筹备组|党支部)\\Z"),
    ),
    (
        PartyType.LEGAL_PERSON,
        re.compile(
            "(?:公司|集团|企业|厂|银行|支行|分行|学校|小学|中学|大学|学院|医院|幼儿园|局|政府|酒店|事务所|研究院|研究所|中心)\\Z"
        ),
    ),
)


def speaks_for(
    text: str, unit: str | None, name: str | None
) -> tuple[PartyType, str | None, tuple[int, int] | None, str] | None:
    """For whom the writer of a cleaned text stands: his kind, his unit, the words and the rule; None where it is not told.

    ``unit`` and ``name`` are what he is registered with: the words decide, then the unit, then a name that is a body's.
    """
    head = text[:READ]
    ours = _OURS.search(head)
    if ours and not (ours["we"] and _EMPLOYED.search(head)):
        return _of_words(head, ours, unit)
    if person := _PERSON.search(head):
        return PartyType.PERSON, None, person.span(), "party.person"
    for stated, rule in ((unit, "party.unit"), (name, "party.name")):
        for kind, ends in _UNITS:
            if stated and ends.search(stated[-12:].strip()):
                return kind, stated.strip(), None, rule
    return None


def _of_words(text: str, ours: re.Match[str], unit: str | None) -> tuple[PartyType, str | None, tuple[int, int], str]:
    """The kind and the unit that the words tell."""
    named = ours["named"] or ours["organisation"]
    organisation = ours["organisation"] or ours["thiso"] or (named and _UNITS[0][1].search(named))
    kind = PartyType.ORGANISATION if organisation else PartyType.LEGAL_PERSON
    full = named if named and not _COMMITTEE.fullmatch(named) else None
    return kind, unit or full or _name_of(text, ours), ours.span(), f"party.{kind.value}"


_NAMED_BEHIND = re.compile(
    "[（(:：,，是 ]?(?:名称)?(?P<name>[^\\W_]{2,24}?(?:公司|集团|厂|银行|学校|医院|学院|协会|合作社|商会))(?![^\\W\\d_]{0,4}公司)"
)
_SIGNED = re.compile(
    "(?P<name>[^\\W_]{4,30}(?:公司|集团|厂|学校|医院|协会|商会|合作社|委员会|委会))[ \\n]*(?:[0-9年月日./ -]{6,12})?\\Z"
)


def _name_of(text: str, ours: re.Match[str]) -> str | None:
    """The name behind 我司, or under the letter."""
    found = _NAMED_BEHIND.match(text, ours.end()) or _SIGNED.search(text[-60:].rstrip())
    return found["name"] if found else None
