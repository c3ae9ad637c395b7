"""What citizens say of a matter that is for, or in, another procedure: the words behind ``acceptance``.

Each rule is a pattern of assertion: that something is pending, was decided, is asked for. What is only threatened, asked
about or passed by in a sentence is taken out by ``Hint.unless``. The grounds are those of Weifang Art. 19, Jinan Art. 3 and
Lianyungang sections 3 and 4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from normalizer.profile import Ground

#: Within a clause, and within a sentence.
WITHIN_CLAUSE = r"[^，,。！？!?；;\n]"
WITHIN_SENTENCE = r"[^。！？!?；;\n]"
#: Sureness: said of nothing else; of the matter itself in short letters or where said twice; in the title or a few lines.
CERTAIN, CLEAR, LIKELY = 3, 2, 1


@dataclass(frozen=True, slots=True)
class Hint:
    """One way in which a ground is told."""

    #: The rule, as evidence names it: acceptance.litigation.pending.
    rule: str
    ground: Ground
    #: How sure it is alone.
    sureness: int
    #: One of them stands in every text that the pattern finds.
    triggers: tuple[str, ...]
    pattern: re.Pattern[str]
    #: What in the sentence, up to a few words behind the match, makes it something else.
    unless: re.Pattern[str] | None = None
    #: What must stand in the same sentence, before the match or a few words behind it.
    beside: re.Pattern[str] | None = None
    #: One of these words stands in the text too; none: no matter.
    gates: frozenset[str] = frozenset()


#: What is only threatened, thought of, advised; what is only asked about; what is said of such things in general.
MAY = (
    "不行(?:我|俺|我们|咱)?就|否则|要不然|不然|再不|再这样|我?就(?:去|要|只能|只有)|要去|打算|准备(?:去|要|走|申请|起诉|提|向)|考虑|保留.{0,6}权利?|将(?:会|要|依法|通过|向|提|采取)"
    "|必要时|只能|只好|如果|要是|假如|万一|(?<!员)会(?:去|通过|走|向|采取|起诉)|可以(?:去|走|通过|依法|申请|向|起诉|提)|大不了|不得不|不排除|(?:难道|是不是|是否)(?:要|得|只能|可以|应该|需要|该)"
    "|(?:让|叫|喊|建议|告知|告诉|说|推|要)(?:我|我们|俺|大家|业主|他|她)们?(?:可以|应该|应当|自己|只能|直接)?(?:去|走|到|通过|找|申请|起诉|提|向)"
)
ASKS = (
    "咨询|怎么(?:补|复印|申请|办理|走|写|提|弄|收费|操作|个)|如何(?:申请|办理|走|写|提|操作)|怎样(?:申请|办理|提)|咋(?:申请|办|弄)|哪里(?:申请|办|交|提)?|哪儿|在哪|去哪|到哪|哪个部门|什么(?:材料|手续|流程|条件|资料|时候|地方|部门|程序|东西)"
    "|啥(?:材料|手续|流程|条件|东西)|哪些(?:材料|手续|资料|条件)|多久|多长时间|几天|收费吗|收不收费|要钱吗|费用|流程|期限|有效期|电话是?多少|地址是?|哪个(?:快|好|划算)|请问.{0,10}(?:跟|和|还是)|格式|模板|上班时间|需要律师|想了解|想问|多少[天日]|几[天日]之?内|天之?内|天里|网址|(?:是|该|要)?找你们还是|还是(?:该|要)?(?:去|找|走|到|用|需要)|(?:去|找|走)[^，。]{0,8}还是|要不要|能不能办|有没有用|影响.{0,10}吗"
)
_IN_GENERAL = (
    "建议|学习|宣传|普法|讲座|提倡|呼吁|加大|加强|力度|表扬|感谢|点赞|锦旗|网站|网页|官网|链接|公开栏|公示栏|指南"
)
_UNLESS_MAY = re.compile(MAY)
_UNLESS_MAY_OR_ASKS = re.compile(f"{MAY}|{ASKS}")
_UNLESS_IN_GENERAL = re.compile(f"{MAY}|{ASKS}|{_IN_GENERAL}")


def hint(
    rule: str,
    sureness: int,
    triggers: str,
    pattern: str,
    unless: re.Pattern[str] | None = None,
    beside: str | None = None,
    gates: str = "",
) -> Hint:
    """A rule of the ground that its name begins with; words are separated by spaces."""
    ground, needs = Ground(rule.split(".", 1)[0]), re.compile(beside) if beside else None
    return Hint(
        f"acceptance.{rule}",
        ground,
        sureness,
        tuple(triggers.split()),
        re.compile(pattern),
        unless,
        needs,
        frozenset(gates.split()),
    )


_NOT_DONE = "(?:不|没有?|拒不?|拒绝|未|拖着?|迟迟|仍|还是|一分)"
#: It is over.
_SETTLED = "撤诉|拿到(?:手)?了|到账了|到手了|[付还给结]清|都给了|已经?(?:了结|解决|结案|执行完)|要回来"
_LITIGATION: Final = (
    hint(
        "litigation.enforcement",
        CERTAIN + 1,
        "判决 裁决 仲裁 调解书 法院判 判了 胜诉 赢了 打赢 判他 判她 判给 判令 判对方 判公司 判老板 判包工头 判开发商 判物业 判保险 判被告 判赔 判定 判决书",
        rf"(?:法院|法庭|官司|(?:一|二|终)审|生效)?{WITHIN_CLAUSE}{{0,6}}(?:判决|裁决|仲裁(?:书|判|委?裁|赢|结果|支持|下来|完|已经|胜)|调解书|法院判|判了|胜诉|打?赢了?){WITHIN_SENTENCE}{{0,28}}?{_NOT_DONE}{WITHIN_CLAUSE}{{0,5}}(?:执行|履行|付(?!出)|给(?!予|.{{0,6}}(?:立案|受理|开庭|裁))|还(?!没|在|是)|赔|兑现)",
        re.compile(f"{MAY}|建筑|违建|{_SETTLED}"),
    ),
    hint(
        "litigation.owed",
        CERTAIN,
        "判他 判她 判对方 判公司 判老板 判包工头 判开发商 判物业 判保险 判被告 判令 判赔 判给我 判我 判决书 判决上 裁他 裁公司 裁给我 判决他 判决她 判决对方 判决公司 判决老板 判决开发商 判决写",
        rf"(?:判|裁)(?:决|令|定)?书?(?:上|里)?(?:写)?(?:了|着|的)?(?:他|她|对方|公司|老板|包工头|开发商|物业|保险|被告|赔|给我|我){WITHIN_SENTENCE}{{0,40}}?(?:没见|没给|没拿|没到|没收|没有?(?:动静|执行|下文|赔|付|还)|不给|不赔|不还|不付|不让|不理|不认账|不执行|一分|分文|拖|躲|跑了|失联|装死|耍赖|赖着|没影|白纸|找不到人|找不着人)",
        re.compile(f"{MAY}|建筑|违建|仲裁|{_SETTLED}"),
    ),
    hint(
        "litigation.enforced",
        CLEAR,
        "执行局 执行法官 强制执行 执行庭 执行款 执行案件 终本 终结本次执行 恢复执行 被执行人 限高 限制高消费 失信名单 执行裁定",
        rf"执行(?:局|法官|庭|款|案件|裁定){WITHIN_CLAUSE}{{0,20}}|法院{WITHIN_CLAUSE}{{0,16}}强制执行|(?:申请|进入|正在){WITHIN_CLAUSE}{{0,6}}强制执行|终结本次执行|终本|恢复执行"
        rf"|(?:我|我们|本人|俺){WITHIN_CLAUSE}{{0,14}}(?:失信|被执行人|限高|限制高消费)|(?:解除|撤销|取消){WITHIN_CLAUSE}{{0,12}}(?:限高|限制高消费|失信)",
        re.compile(
            f"{MAY}|表扬|感谢|拆违|违建|城管.{{0,10}}强制执行|门口|对面|旁边|隔壁|楼下|家属院|宿舍|点赞|负责|辛苦|帮我|要回|停车|施工"
        ),
    ),
    hint(
        "litigation.dissent",
        CERTAIN,
        "判决 裁定 改判 重审 再审 审判 判刑 判得 判的 错案 冤案 枉法 误判 乱判 重新提审",
        rf"不服{WITHIN_SENTENCE}{{0,22}}(?:判决|裁定|判刑)|(?:法院|法官|法庭|一审|二审|终审|判决|裁定|官司){WITHIN_CLAUSE}{{0,14}}(?:不服|不公|不认|不接受|有异议|错误|判错|枉法|误判|乱判|错判|偏)"
        rf"|(?:要求|申请|请求|希望|想){WITHIN_SENTENCE}{{0,14}}(?:改判|重审|再审|重新(?:审理|提审|审判|判决)|撤销{WITHIN_CLAUSE}{{0,10}}(?:判决|裁定))|枉法(?:裁判|判决)|(?:是|这是|平反|造成|一起){WITHIN_CLAUSE}{{0,4}}(?:冤案|错案|冤假错案)",
        _UNLESS_MAY_OR_ASKS,
    ),
    hint(
        "litigation.pending",
        CLEAR,
        "官司 起诉 诉讼 司法程序 法律程序 开庭 立案 一审 二审 再审 终审 上诉 法庭 告到法院 告到了法院 告上 法院",
        rf"官司(?:打了|打到|还在|正在|一直|没打完|没完)|法院{WITHIN_CLAUSE}{{0,10}}(?:已经?|正在|正|刚|还没|没有?|未|不给?|不予|迟迟|一直){WITHIN_CLAUSE}{{0,6}}(?:立案|受理|开庭|审理|宣判|判)|(?:案子|案件|官司|纠纷){WITHIN_CLAUSE}{{0,10}}(?:在|到|移送|移交|交给|进了){WITHIN_CLAUSE}{{0,8}}法院"
        rf"|(?:等|等着|等待|下周|下个?月|马上|明天|后天|[0-9一二三四五六七八九十]+[号日])(?:就要?|要|法院|法庭)*(?:开庭|宣判)|(?:一审|二审|再审|终审){WITHIN_CLAUSE}{{0,10}}(?:判|输|赢|败|胜|结束|开庭|维持|驳回|正在|结果|审理|还没)"
        rf"|(?:被|把|将)(?:我们?|俺们?|他们?|人家|公司|物业|开发商|银行|房东|老板)?{WITHIN_CLAUSE}{{0,10}}(?:告上了?法[庭院]|告到了?法[庭院]|起诉到|起诉了)|我{WITHIN_CLAUSE}{{0,4}}上诉(?:到|至|中|了|期|被|后)|法院传票|收到{WITHIN_CLAUSE}{{0,6}}(?:传票|起诉状|应诉通知)",
        re.compile(f"{MAY}|{_SETTLED}|仲裁|动不动|法院(?:门口|附近|旁|对面|路|门前|宿舍|家属院|后面)"),
    ),
    hint(
        "litigation.begun",
        CLEAR,
        "官司 起诉 诉讼 司法程序 法律程序",
        rf"打(?:着|了|过)?{WITHIN_CLAUSE}{{0,5}}官司|起诉(?:了|到|至|过|他|她|对方|中|开发商|公司|物业)|提起了?(?:民事|行政)?诉讼|走(?:司法|诉讼|法律)程序",
        re.compile(f"{MAY}|{_SETTLED}|动不动|(?:想|要|要去|去)(?:打官司|起诉|走)"),
        rf"(?:已|正|在打|我|双方|目前|现在|还在|早就|去年|今年|上个?月|\d月){WITHIN_CLAUSE}{{0,10}}(?:打|起诉|提起|走)",
    ),
    hint(
        "litigation.judged",
        CLEAR,
        "判决 判了 判我 判给 判令 裁定 胜诉 败诉 官司 法院调解 驳回 判的",
        rf"(?:法院|法庭){WITHIN_CLAUSE}{{0,12}}(?:判决|判了|判的|判我|判给|判令|判他|判对方|裁定|调解(?:过|了|书|好|结)|驳回)|判决书?{WITHIN_CLAUSE}{{0,6}}(?:下来|生效|出来|下达|已经)|(?:官司|案子)(?:也|都|已经|我|我们)*(?:打)?(?:赢|输)了?|(?:我们?|本人|最终|最后|一审|二审|终审|法院|官司|却|已经?|结果){WITHIN_CLAUSE}{{0,6}}(?:胜诉|败诉)",
        re.compile(
            f"{MAY}|有(?:过)?(?:先例|案例|判例)|新闻|看到|最高人民法院|司法解释|被人民法院判处|拍卖[的得到]|丢了|补办|复印"
        ),
    ),
    hint(
        "litigation.court",
        CLEAR,
        "法官 法院 执行局 审判 检察院 检察官 法庭",
        rf"(?:法官|法院|执行局|审判[员长]|法庭){WITHIN_CLAUSE}{{0,12}}(?:枉法|偏袒|徇私|不公|不(?:给|予|让)?立案|不予?受理|不(?:给)?执行|乱判|误判|拖着|乱作为|不作为|收(?:了)?(?:黑|对方的?)?钱|拖延|超审限|迟迟不?|不判|不开庭|吃了?[原被]告|有案不立|压案|错误)"
        rf"|检察(?:院|官){WITHIN_CLAUSE}{{0,12}}(?:不起诉|不抗诉|抗诉|不批捕|不监督|批捕|公诉|审查起诉)",
        re.compile(f"{MAY}|门口|停车|食堂|工地|家属院|宿舍|施工|噪音|噪声"),
    ),
    hint(
        "litigation.named",
        LIKELY,
        "法院 法庭 法官 执行局 判决 开庭 开完庭 官司 失信被执行人 失信人 应诉 再审 错案 冤案",
        r"(?:人民|中级|高级|基层)*法院|法庭|法官|执行局|判决|开(?:了|完|过)?庭|官司|失信(?:被执行)?人|再审|错案|冤案",
        re.compile(
            f"{MAY}|{ASKS}|{_IN_GENERAL}|法院(?:的|新|老|那个)?(?:门|对面|旁|附近|路|后面|前面|家属|宿舍|工地|大楼|停车|食堂|站|东|西|南|北|小区|公告|网)|路|法官楼|施工|拍卖[的得到]|拍得|法拍|法院(?:那|这|隔壁|斜|边|周|后|楼|上班|几点|文书|的文书|家)|(?:去|到|上|找|走|跑|闹到|见)法[院庭]"
            "|仲裁|撤诉|文书还是|怎么查|如何查|哪个法院|动不动|耐心|负责|几点|下班|上班|周末|法院见|新闻|电视|小说|案例|地铁|公交|最高人民法院|司法解释|开庭式|派出所|民警|立案大厅"
        ),
        "案|判|审|执行|立|庭|诉|告|冤|冻结|查封|律师|传票|失信|老赖|赔|欠|不公|拖|压|偏|收了|个月|半年|一年|天|催|没|不|官司|指鹿为马|渎职|错",
    ),
    hint(
        "litigation.case_number",
        CLEAR,
        "民初 民终 民申 民再 刑初 刑终 行初 行终 行申 执恢 执异 执复 执保 执字 民字 行赔",
        r"[（(\[〔【][12]\d{3}[)）\]〕】][\u4e00-\u9fff]{0,3}\d{0,6}[\u4e00-\u9fff]{1,4}第?\d{1,6}(?:-\d{1,3})?号",
    ),
    hint(
        "litigation.private",
        CLEAR,
        "家产 老宅 祖宅 老房子 未还 不还 没还 赖账 不归还 遗产 爹妈 爹娘 爸妈留 父母留 老人留 老人走 父亲留 母亲留 父亲走 母亲走 老爷子 老爹 老娘 爸走 妈走 爷爷留 奶奶留 父母走 父母去世 父亲去世 母亲去世 父亲死 母亲死 父母死 老人去世 抚养权 抚养费 彩礼 探视 探望 离婚 继承",
        rf"(?:朋友|同学|同事|亲戚|熟人|男友|女友|老乡|战友|邻居|网友|表[哥弟姐妹]|堂[哥弟姐妹]|[哥弟姐妹舅叔][哥弟姐妹舅叔]?|一个人|有个人|他|她)(?:之前|去年|前年|几年前|\d+年|以前|当时|找我|向我|跟我|从我这|一直)*(?:借|欠)了?(?:我|俺|走|的)?{WITHIN_CLAUSE}{{0,14}}[，,]?{WITHIN_CLAUSE}{{0,12}}(?:不还|没还|未还|赖账|不归还)"
        rf"|(?:借|欠)(?:走|了|去|我|俺|着)*{WITHIN_CLAUSE}{{0,8}}(?:万|千|百|块|元|钱){WITHIN_SENTENCE}{{0,30}}(?:不还|没还|未还|赖账|不归还)|(?:遗产|家产|父母留下的{WITHIN_CLAUSE}{{0,6}}|老人留下的{WITHIN_CLAUSE}{{0,6}}){WITHIN_SENTENCE}{{0,20}}(?:纠纷|不分|独占|霸占|独吞|争|分不|没分|不肯|不给|不同意|应得)|(?:抚养权|抚养费|彩礼|探视权?|探望权?){WITHIN_SENTENCE}{{0,16}}(?:不给|不让|不付|不退|纠纷|要回|争|拒|退|归我|归谁)|(?:前夫|前妻|离婚后?){WITHIN_SENTENCE}{{0,16}}(?:不给|不让|不付|拒|拖欠){WITHIN_CLAUSE}{{0,6}}(?:抚养费|看孩子|见孩子|财产)|(?:爹妈?|爹娘|[爸妈娘]|父母|父亲|母亲|老人|老爷子|爷爷|奶奶){WITHIN_CLAUSE}{{0,2}}(?:留下?|走[了后]|死[了后]|去世|过世|没了|百年){WITHIN_SENTENCE}{{0,24}}?(?:占了|占着|全占|霸|独吞|吞了|平分|不分|不肯分|不给我|都没分|没我的份|过到他|过户给他|想分|要分|卖了不)|(?:独吞|独占|霸占|争|抢|分){WITHIN_CLAUSE}{{0,6}}(?:家产|遗产|老宅|祖宅|老房子)|离婚{WITHIN_SENTENCE}{{0,14}}(?:财产{WITHIN_CLAUSE}{{0,6}}(?:分割|分不|归)|对方不同意|他不同意|她不同意|不肯离|不离)",
        re.compile(
            "梯子|工具|雨伞|图书|老板|公司|企业|商铺|网贷|贷款|银行|催收|平台|水费|电费|物业费|拖欠|工资|工钱|货款|工程款|押金|退款|劳务|共享|图书|政策|证明|补贴|单车"
        ),
    ),
)
_ARBITRATION: Final = (
    hint(
        "arbitration.award",
        CERTAIN,
        "仲裁",
        rf"(?:不服|不认可|不同意|不满)意?{WITHIN_CLAUSE}{{0,12}}仲裁|仲裁{WITHIN_CLAUSE}{{0,10}}(?:裁决|结果|裁定|裁){WITHIN_CLAUSE}{{0,8}}(?:不服|不公|不合理|不认|偏|下来|出来|少)|仲裁(?:员|委员会|委|院|庭|机构)?{WITHIN_CLAUSE}{{0,8}}(?:不公|偏袒|枉法|不(?:给|予)?受理|不(?:给|予)?立案|拖|推诿|压着)|仲裁{WITHIN_CLAUSE}{{0,3}}(?:输|赢|败|胜)|仲裁(?:委|院|庭|员|书|那边|上)?(?:给|只)?(?:判|裁)(?:了|决|给|我|公司|单位|对方|厂)|仲裁(?:员|委|委员会|院|庭){WITHIN_CLAUSE}{{0,6}}(?:向着|帮着|偏向|站在|护着|是一伙|和稀泥|不公)",
        re.compile(f"{MAY}|{_SETTLED}"),
    ),
    hint(
        "arbitration.pending",
        CLEAR,
        "仲裁",
        rf"(?:已|正在|刚|去|到|向|我|我们|早就|目前|现在|还在|上个?月|去年){WITHIN_CLAUSE}{{0,18}}(?:申请|提起|提交|提|走|做|进行|打|递交|办)(?:了|过|的|着|完)?(?:劳动|人事|商事|争议)*仲裁|仲裁(?:委员会|委|院|庭|案件?|机构|部门|局|那边|申请)?{WITHIN_CLAUSE}{{0,10}}(?:已经?|正在|还没|没有?|未|不|迟迟|一直|刚){WITHIN_CLAUSE}{{0,6}}(?:立案|受理|开庭|裁|审理|下来|出结果|结果|判|排期)|(?:等|等着|等待|下周|下个?月|明天)(?:劳动|人事)*仲裁|仲裁(?:中|阶段|开庭)|在{WITHIN_CLAUSE}{{0,8}}仲裁{WITHIN_CLAUSE}{{0,4}}(?:立案|登记|申请)",
        _UNLESS_MAY_OR_ASKS,
    ),
    hint(
        "arbitration.named",
        LIKELY,
        "仲裁",
        "仲裁",
        re.compile(
            f"{_SETTLED}|{MAY}|{ASKS}|{_IN_GENERAL}|(?:他|老王|老李|邻居|同事|朋友|对方|公司|单位)说|不想|不愿|门口|对面|附近"
        ),
    ),
    hint(
        "arbitration.asked",
        CLEAR,
        "仲裁",
        rf"(?:我要|我想|想要|要求|请求|我们要|本人要|申请|需要|希望|帮我|给我|请){WITHIN_CLAUSE}{{0,4}}(?:申请|提起|进行|做|走|给)?(?:劳动|人事|商事|经济|合同|争议)+仲裁|我?(?:要|想|申请|请求)仲裁",
        _UNLESS_MAY_OR_ASKS,
    ),
)
_RECONSIDERATION: Final = (
    hint(
        "reconsideration.told",
        CERTAIN,
        "复议",
        rf"(?:已|正在|刚|向|我|要|想|要求|请求|申请|提起|提出|希望|提交){WITHIN_CLAUSE}{{0,16}}行政复议|(?:申请|提起|提出|要求|请求|提交)了?复议|行政复议{WITHIN_CLAUSE}{{0,10}}(?:维持|驳回|不(?:予)?受理|下来|不服|已|没|拖|超期|撤销|请求|申请书)|复议(?:机关|决定|局|办|委|期间|结果|申请){WITHIN_CLAUSE}{{0,10}}(?:维持|驳回|不(?:予)?受理|下来|不服|已|没|拖|超期|撤销)",
        re.compile(f"{MAY}|{ASKS}|成绩|考试|劳动能力|鉴定"),
    ),
    hint(
        "reconsideration.named",
        LIKELY,
        "复议",
        "复议",
        re.compile(f"{MAY}|{ASKS}|{_IN_GENERAL}|成绩|考试|鉴定"),
    ),
    hint(
        "reconsideration.decision",
        CLEAR,
        "处罚 决定书 工伤认定 征收决定 行政决定 不予认定 许可决定 罚单 这个决定 该决定 认定工伤 工伤不 罚款单 责任认定 认定书 吊销",
        rf"不服{WITHIN_SENTENCE}{{0,24}}(?:处罚|决定书|决定|工伤认定|不予认定)|对{WITHIN_SENTENCE}{{0,24}}(?:处罚决定书?|行政处罚|工伤认定|征收决定|决定书){WITHIN_CLAUSE}{{0,8}}(?:不服|有异议|不认)|(?:罚单|罚款单|处罚(?:通知)?书?|认定书|这个决定){WITHIN_SENTENCE}{{0,12}}?(?:我不认|不认(?:可|同)?|不服|撤了|撤掉|撤销|冤枉)|(?:撤了?|撤销|撤掉|取消|收回){WITHIN_CLAUSE}{{0,10}}(?:罚单|这个?决定|该决定|认定书|处罚)|(?:认定|处罚|罚款|罚|决定|吊销){WITHIN_SENTENCE}{{0,16}}?(?:我|本人|我们)?不服{WITHIN_SENTENCE}{{0,16}}?(?:撤|复议|重新|上级)|(?:撤销|收回){WITHIN_CLAUSE}{{0,16}}(?:处罚决定|行政处罚|征收决定|工伤认定)",
        re.compile(f"{ASKS}|法院|判决|仲裁|学校|公司|物业|平台|商家"),
    ),
)
_PAPERS = "(?:(?:确权|土改|征收|拆迁)档案|发放(?:名册|名单|明细|台账)|拨付(?:明细|情况)|批文|批复|审批文件|审批手续|征地(?:文件|公告|方案|批准)|规划许可|环评(?:报告|批复)|立项|招标文件|预算|决算|补偿方案|土地出让|红头文件|会议纪要|政府信息|信息公开)"
_PRIVATE_BODY = "物业|业委会|村务|村委|村里的?账|村集体|小区的?(?:账|收支|物业|维修|公共|停车|电梯)|开发商|公司|银行|分行|学校|幼儿园|商家|维修基金|维修资金|账目|收支|公共收益"
_DISCLOSURE: Final = (
    hint(
        "disclosure.request",
        CLEAR,
        "公开 获取政府信息 查阅政府信息",
        rf"(?:提交|递交|邮寄|寄|提出|申请|收到|答复|针对|关于|我的?|根据|依据|依照){WITHIN_CLAUSE}{{0,20}}信息公开(?:申请|告知|答复|条例|的申请|请求)?|信息公开(?:申请|告知书|答复书?|请求|的答复){WITHIN_CLAUSE}{{0,12}}|(?:申请|请求|特?申请)(?:依法|政府|贵局|你局|贵单位|市|区|县|你们)?{WITHIN_CLAUSE}{{0,10}}公开(?!道歉|回复|课|招聘|招标|摇号|拍卖|透明|赛)|依申请公开|(?:依据|根据|按照){WITHIN_CLAUSE}{{0,10}}条例{WITHIN_CLAUSE}{{0,14}}公开|(?:申请|请求)(?:获取|查阅){WITHIN_CLAUSE}{{0,8}}(?:政府)?信息",
        re.compile(f"{MAY}|{ASKS}|{_PRIVATE_BODY}|向社会|公开栏|公示栏|指南|打不开|建议|加大|力度|做得|透明|学习"),
    ),
    hint(
        "disclosure.applied",
        CLEAR,
        "申请公开 请求公开 依申请 申请获取 申请查阅 请公开",
        rf"(?:申请|请求|请)(?:依法|你?局)?(?:公开|获取|查阅)[：:]?{WITHIN_SENTENCE}{{0,50}}?(?:许可证|批复|批文|环评|规划(?:图|许可|文件|条件)|备案表|征地|征收|拨付|立项|审批|台账|红头文件|会议纪要|中标|评标|补偿(?:方案|标准|明细))",
        re.compile(f"{MAY}|{ASKS}|物业公司(?:公开|公布)|向社会公开"),
    ),
    hint(
        "disclosure.named",
        LIKELY,
        "信息公开",
        "信息公开",
        re.compile(f"{MAY}|{ASKS}|{_IN_GENERAL}|{_PRIVATE_BODY}|平台|打不开"),
    ),
    hint(
        "disclosure.papers",
        CLEAR,
        "确权档案 档案 台账 名册 拨付 批文 批复 审批文件 审批手续 征地 规划许可 环评 立项 招标文件 预算 决算 补偿方案 土地出让 红头文件 会议纪要 政府信息 信息公开",
        rf"(?:要求|请求|请|希望|想看|想要){WITHIN_CLAUSE}{{0,16}}(?:公开|公布|提供|出示|公示){WITHIN_CLAUSE}{{0,24}}{_PAPERS}|(?:把|将){WITHIN_CLAUSE}{{0,20}}{_PAPERS}{WITHIN_CLAUSE}{{0,10}}(?:公开|公布|公示|出示|拿出来|给{WITHIN_CLAUSE}{{0,10}}看)",
        re.compile(f"{MAY}|{_PRIVATE_BODY}"),
    ),
)
_PETITION: Final = (
    hint(
        "petition.ended",
        CERTAIN,
        "三级终结 复查 复核 信访 不再受理 走完了",
        r"三级(?:都|也|已经?)?终结|信访程序(?:都|也|已经?)?(?:走完|终结|结束)|信访(?:事项)?(?:已经?|程序)?终结|复查复核|信访(?:事项)?(?:的)?(?:复查|复核)|信访(?:事项)?(?:处理|答复|办理)意见|(?:复查|复核)意见书?|(?:复查|复核)(?:了|也|都|还是|又)*(?:维持|终结)|信访结论|(?:信访|上访)[^。]{0,30}(?:终结|不再受理|走完了)|(?:申请|要求|请求|提起)(?:市政府|区政府|上级|信访局|进行|对.{0,12})?(?:信访)?(?:复查|复核)",
        re.compile(f"{ASKS}|成绩|事故|资格|分数|阅卷|仲裁|交警|CT|医院|医生|病|视力|低保|验收|消防|整改|{MAY}"),
    ),
    hint(
        "petition.registered",
        CLEAR,
        "信访 上访",
        rf"信访(?:局|办|部门|大厅|系统|平台|中心|接待中心|那边|网)?{WITHIN_CLAUSE}{{0,10}}(?:登记|受理|立了?案|立了|立的|收了|编号|填了?表|查询码|回执|录了|交办|转办|转交|转送|录入|备案|建档|挂了?号|转给|转到)|(?:登记|受理|提交|递交)了?{WITHIN_CLAUSE}{{0,4}}信访|信访(?:件|事项|编号|号|受理单|受理告知|案件){WITHIN_CLAUSE}{{0,6}}(?:编号|已|正在|受理|号|[:：]?\d|还没|没有|办理)|信访(?:局|办|部门)?{WITHIN_CLAUSE}{{0,4}}(?:正在|还在|已经?在){WITHIN_CLAUSE}{{0,6}}(?:办|处理|协调|调查|走)|(?:走|进入|正在走|走了)信访(?:程序|渠道|途径)|(?:已经?|正在|在){WITHIN_CLAUSE}{{0,8}}信访(?:中|了)|进京上访|上访(?:登记|件|案)|上访(?:了|都)?{WITHIN_CLAUSE}{{0,4}}(?:[十几两三四五六七八九0-9]年|多年|无数次|[几十两三四五六七八九0-9]+[次趟])|信访(?:局|办|大厅|中心|窗口|网){WITHIN_CLAUSE}{{0,6}}(?:填|交|递|登|领){WITHIN_CLAUSE}{{0,3}}(?:表|材料|状|记|回执|号)",
        re.compile(f"{MAY}|怎么|如何|哪里|不(?:给|予|让)?(?:登记|受理|接待)|市长信箱|12345(?:转|来)|态度|门口"),
    ),
)

#: The procedures of courts and offices.
PROCEDURES: Final = (*_LITIGATION, *_ARBITRATION, *_RECONSIDERATION, *_DISCLOSURE, *_PETITION)
