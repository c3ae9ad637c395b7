"""Advertising and bait: offers by subject, added up with how one is to answer them; links that lead into a trap.

A citizen who complains of such a message quotes it; words of complaint and of report weigh against.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from ahocorasick_rs import AhoCorasick, MatchKind

from normalizer.conduct_advert import advertised
from normalizer.conduct_words import spellings

#: What is sold, and how much each word says of it (in tenths).
SUBJECTS: dict[str, dict[int, str]] = {
    "loan": {
        5: "刷卡机 pos机 白金卡 停息挂账 征信修复 强开额度 需资金 资金需求 资金的需求 低息 无抵押 免抵押 秒下款 秒放款 当天放款 当日放款 快速放款 极速放款 低息贷款 办理贷款 信用贷款 小额贷款 急用钱 急需资金 资金周转 提额 套现 黑户可 征信花 不看征信 手续简便 利息低 月息 日息 高额度 大额信用卡 办信用卡 代还信用卡 垫资 过桥 车贷 下款 "
        "承兑汇票 空放 凭身份证 银行理财 循环使用 最高可[贷借] 可贷 额度 提xx",
        3: "贷款 放款 借款 授信 额度高 利率低 按揭 信贷",
    },
    "invoice": {
        5: "开房记录 通话清单 私家侦探 婚外情 要账 追债 先查后付 先验 四件套 "
        "代开发票 [开代]各[种类行]?发?票 代开 [开]票 税点 点数优惠 可验真 先验后付 验后付款 增值税发票 办证刻章 刻章 办证 代办各类证件 代办[学文]历 毕业证"
    },
    "gambling": {
        5: "中大奖 特主 开码 生肖 玄机 七字诗 四字诗 [六五七九三一]肖 中特 特码 平码 六合彩 彩金 葡京 时时彩 赌场 真人娱乐 百家乐 下注 投注 博彩 首存 充值送 提款 秒到账 注册送 奥门 澳门 太阳城 威尼斯人 棋牌 开户送 返水 必中 稳赚 包赔 赔率 娱乐城 无限欢乐 电子游艺 买球 体彩计划 跟单"
    },
    "sex": {
        5: "上门服务 楼凤 包夜 裸聊 援交 约炮 一夜情 兼职学生妹 小妹 学生妹 空姐 嫩模 制服 激情 特殊服务 全套服务 莞式 做爱 迷药 壮阳 伟哥 延时 催情 同城约 寂寞 少妇 富婆 重金求子 成人视频"
    },
    "jobs": {
        5: "刷单 刷信誉 日结 兼职 日赚 日入 月入过?万 月赚 在家赚钱 轻松赚钱 动动手指 抖音点赞 点赞员 打字员 佣金 手机就能做 一部手机 零门槛 招代理 招募 诚招 急聘 招聘 招普工 高薪 底薪 待遇 提成 包吃住 熟手优先 诚聘 男女公关 急招 当天结 男女不限 行业精英 人事部 招男女 招女 招工 月薪 加班费 长白班 底xxx 学徒 展位",
    },
    "stocks": {
        5: "金股 牛股 涨停 荐股 股票群 建仓 内幕消息 炒股 老师带 带单 股神 翻倍 外汇 期货开户 虚拟币 数字货币 稳定收益 高收益 年化 保本 理财产品 预期收益 黑马 操盘 解套 收益率"
    },
    "phishing": {
        5: "点击链接 点击领取 点击查看 点击登录 立即点击 恭喜您 恭喜你 中奖 成功入选 幸运观众 特等奖 一等奖 领奖 验证领奖 奖金为 获奖号码 汇款到 账号为 幸运用户 领取奖金 逾期未 账户异常 账号异常 已冻结 将被冻结 冻结 ETC过期 ETC已 etc已 积分即将 积分兑换 补贴待领 待领取 可领取 重新认证 实名认证 医保卡异常 激活 密码器 卡号 户名 农行 工行 建行 工商银行 农业银行 建设银行 农村信用 邮政储蓄 汇到 打到这个 打款 账号 "
        "退款通道 包裹异常 点此",
    },
    "offer": {
        5: (
            "本店 本公司 我公司 我司 本商行 我们公司 公司专业 欢迎光临 欢迎选购 欢迎致电 欢迎来电 欢迎您 欢迎新老 欢迎咨询 欢迎前来 欢迎你 欢迎到店 欢迎进店 欢迎订购 欢迎品鉴 欢迎惠顾 惠顾 恭候 敬请光临 敬候 竭诚 "
            "钜惠 巨惠 特惠 聚惠 惠战 买一送 买[1二两三四五x]送 买[1二两三四五x]赠 满x+送 到店 到访 进店 入店 凭此短信 凭短信 凭本短信 新老客户 新老顾客 新老朋友 客户经理 尊敬的[客顾贵会用][户客宾员] 尊敬的家长 "
            "尊贵的 家长您?好 亲爱的[客顾贵会家朋姐美女][户客宾员长友姐女神] 亲爱的女 各位亲 先到先得 名额有限 数量有限 限量 机不可失 欲购 欲定 抢购 抢[订定] 量大从优 大酬宾 酬宾 秒杀 清仓 大清场 甩卖 跳楼价 吐血价 最低价 底价 超低 折起 抽大奖 "
            "好礼 豪礼 壕礼 大礼 代金券 优惠券 现金券 礼金券 礼券 抵用券 免费体验 免费试 免费领 免费送 免费听 盛大开业 隆重开业 盛装开业 新款上市 新品上市 全新上市 店庆 周年庆 开班 报班 热招 火热招生 特价房 售楼部 即买即住 样板[房间] 旺铺 "
            "优惠多多 劲爆 火爆 期待您的 期待你的 诚邀 邀您 邀约您 恭迎 莅临 详询 详情咨询 详情请 咨询电话 咨询热线 垂询 抢购热线 订购热线 预约电话 报名电话 报名热线 销售热线 贵宾热线 招商热线 厂家直销 货到付款 质量保证 品质保证 价格优惠 价格合理 "
            "主营 专业生产 专业批发 专业承接 专业从事 专业办理 专业定制 承接 出售 急售 特价 祝您元宵 祝您新年 祝您生活 提前祝 女人节 女神节 新春特惠 惊爆 震撼 重磅 火热 盛惠 惠购 促销 优惠价 立减 直降 返现 返利 免单 加赠 买赠 礼品相送 精美礼品 精品礼品 送礼品 礼品一份 好消息 特大喜讯 喜讯 "
            "预存 存话费 送话费 感谢致电 欢迎参加 欢迎各位 有意者 认筹 培优 作业辅导 补习班 欢迎家长 实惠 便宜卖 高价回收 高价收购 回收 疏通 开锁 搬家 24小时电话 打扰请见谅 长期供应 现货供应 买一赠 大促 主材 工艺 价格实惠 新鲜 到货 空运 卫浴 理财 胸围 回短信 回复x 包过 直接拿证 日薪 价格公道 低价转让 有意联系 不成功不收费 大放价 从速 里程少 拉黑请回 退订 回t退 低至 仅需 只需x 仅售 特价机 特卖 内购会 团购会 品鉴会 说明会 家博会 招生 招代理 加盟 诚招 供应 现货 批发 办理会员 会员卡 储值 充值x 双倍积分 全套餐 免息 年利率 预期年化 厘利息 贷x "
        ),
        2: (
            "礼品 赠送 红包 打折 折扣 折优惠 优惠活动 优惠 让利 回馈 感恩 开业 新款 新品 上市 团购 入网 套餐 话费 充值 低价 全场 半价 前来 敬请 来电 致电 热线 订购 预[定订约] 热卖 热销 抢定? 仅限 厂家 直销 经营 零售 售后 代理 连锁 合作 招商 定[制做] 出租 转让 租售 "
            "楼盘 首付 现房 精装 开盘 户型 商铺 升值 投资 地段 地铁 均价 总价 看房 置业 别墅 ㎡ 平米 平方米 公寓 认购 装修公司 装饰 装修 家装 建材 瓷砖 橱柜 设计师 家具 家居 家电 空调 衣柜 沙发 培训班 辅导班 辅导 报名 开课 一对一 小班 名师 试听 冲刺 学车 驾校 考研 提分 提升 包过 课程 老师授课 学历提升 学费 学员 "
            "美容 护肤 减肥 瘦身 面膜 养生 祛斑 祛痘 护理 化妆品 汗蒸 体检 口腔 种植牙 整形 保健品 专柜 品牌 女装 服饰 春装 棉服 特色菜 酒席 美味 奶粉 床上用品 黄金 珠宝 手机 新车 车型 保险 交强险 续保 贵宾 哥哥 美女 女神 老板 朋友们 各位朋友 各位 您好 你好 先生 女士 亲 我是 我们是 亲们 "
            "惊喜 温馨提示 祝您 祝你 祝大家 恭祝 拜年 妇女节 三八 元宵 情人节 双十一 双11 圣诞 中秋 国庆 新春 新年 春节 x\\.x 生活愉快 工作顺利 万事如意 身体健康 阖家 地址 地点 联系人 联系电话 联系 微信 扫码 公众号 关注 加群 qq 商场 超市 专卖 活动 购物 购满 新店 消费 会员 顾客 客户 您 "
            "账户 帐号 打扰 一对 免费 精美 抢 送x 返x 减x 满x 号x "
        ),
    },
}
#: What a citizen says who reports, asks or complains, in tenths against.
AGAINST = {
    12: (
        "投诉 举报 诈骗 骗子 骗局 被骗 上当 骚扰 虚假宣传 违法 违规 传销 请问 咨询一下 想咨询 我想 想了解 反映 维权 请求 恳请 查处 查一查 严查 请查 有关部门 相关部门 贵局 立案 公安 拿不回 不认账 不敢点 真假 派出所 报警 报案 不退 拒绝退 不给退 拖欠 欺骗 忽悠 霸王条款 请政府 希望政府 望领导 "
        "不合理 怎么办 怎么处理 收到短信 收到一条 收到了 收到的 打来电话 接到电话 自称 小广告 扰民 垃圾短信 广告短信 合法吗 是真的吗 真的假的 退款难 跑路 拒不 不予 尊敬的领导 市长 书记 局长 被告人 犯罪 判处 记者 据了解 招聘会 公告 政策 建议 "
    ),
    4: (
        "居民 村民 小区 反应 乱收 收费 退款 涉黄 卖淫 嫖娼 无证 违章 占道 占用 影响 严重 困难 下落 寻找 受理 无视 权益 处理 解决 没有 一直 至今 不给 拒绝 要求 希望 领导 部门 社区 街道 学校 孩子 昨天 今年 去年 多次 从未 未经 强行 强制 "
        "合同 协议 法律 规定 责任 回复 答复 办理了 申请了 被 不能 无法 不让 不准 不敢 投入使用 周边 附近居民 交通 道路 "
    ),
    5: "承诺 宣传 限制 能不能 为什么 什么时候 是否 我家 我们小区 我爸 我妈 我父亲 我母亲 老人 城管 政府 发布会 表示 网友 本报 日讯 法院 警方 男子 女子 市民 报道 亿元 统计 增长 同比 股市 行业 指数 目前 他们 别人 自己 觉得 感觉 真是 居然 竟然 哈哈 了吧 国家 美国 中国 大家 业主 物业 开发商 业委会 ",
}
_PHONE = re.compile(
    r"(?:电话|热线|手机|tel)[:：]?[0-9]{5,12}|(?<![0-9x*])[01x*][0-9x*\- ]{6,15}(?![0-9])|x{6,}|[0-9]{7,12}"
)
#: A telephone or account number that whoever passed the message on has masked.
_MASKED = re.compile(r"x{7}|\*{7}|0{7}")
_MONEY = re.compile(
    "(?:[0-9x]+(?:\\.[0-9x]+)?|[一二三五八九]|[0-9x])折|满[0-9x]+[元]?[送减返立]|[买充][0-9x一二两]+[元]?送|[0-9x]+元|￥|[0-9x]万"
)
_CONTACT = re.compile(
    "(?:加|\\+|联系|咨询|私)?(?:微信|薇信|威信|wx|vx|weixin|qq|扣扣|企鹅|v信|电报|telegram|tg|飞机)(?:号|群|同号|同步|联系)?[:：]?[a-z0-9_x-]{4,}|(?:加|\\+)(?:我|老师|客服|导师)?(?:v|微|薇|vx|qq|群|微信)|(?:回复?|退订回|拒收(?:请)?回)(?:t|td|n|r)\\b|(?:退订|拒收)回"
)
_LONG = 400
#: Characters of a usual one; each fifteen more speak against it.
_USUAL = 150
#: Below that no way to buy makes an advertisement of a text.
_HOPELESS = -12
#: Fewer characters are hardly an advertisement.
_BRIEF = 14
#: Words that speak so much for an offer, less what speaks against, at least; from where they are one with what the model adds.
_LEAST, _ENOUGH = -2, 7.1
#: What the model's word weighs beside them; from where it is clear alone; the least score that is told.
_LOOKS, _CLEAR, _FAINT = 2.0, 1.2, 0.25

_URL = re.compile(
    r"(?:https?://|www\.)?(?<![a-z0-9@._-])((?:[a-z0-9](?:[a-z0-9-]{0,40})\.){1,5}[a-z]{2,10}|[0-9]{1,3}(?:\.[0-9]{1,3}){3})(?::[0-9]{2,5})?(/[a-z0-9_?=&%./#-]{0,80})?"
)
_SHORTENERS = frozenset(
    [
        "t.cn",
        "dwz.cn",
        "bit.ly",
        "suo.im",
        "url.cn",
        "tinyurl.com",
        "is.gd",
        "goo.gl",
        "u.nu",
        "rrd.me",
        "c7.gg",
        "985.so",
        "suo.nz",
        "dwz.win",
        "mrw.so",
        "w.url.cn",
        "0x9.me",
        "t.co",
        "ow.ly",
        "cutt.ly",
        "rb.gy",
        "s.id",
        "v.ht",
        "t.ly",
        "reurl.cc",
        "x.co",
        "urlify.cn",
        "3.cn",
        "dwz.tax",
    ]
)
_CHEAP = frozenset(
    [
        "top",
        "xyz",
        "icu",
        "cc",
        "vip",
        "club",
        "tk",
        "ml",
        "cf",
        "ga",
        "gq",
        "work",
        "click",
        "loan",
        "online",
        "site",
        "shop",
        "cyou",
        "buzz",
        "rest",
        "win",
        "bid",
        "fun",
        "pw",
        "live",
        "life",
        "ltd",
        "ink",
        "mobi",
        "wang",
    ]
)
_TRUSTED = re.compile(
    r"(?:\.|^)(?:gov\.cn|edu\.cn|org\.cn|qq\.com|baidu\.com|weibo\.com|weibo\.cn|taobao\.com|jd\.com|163\.com|sina\.com(?:\.cn)?|douyin\.com|people\.com\.cn|xinhuanet\.com|cctv\.com|rednet\.cn|bilibili\.com|zhihu\.com|12306\.cn|10086\.cn|95598\.cn|mp\.weixin\.qq\.com|alipay\.com|example\.com|sohu\.com|ifeng\.com|toutiao\.com)$"
)
_POSES = re.compile(
    "gov|g0v|g[o0]v|12345|1234[5s]|shebao|yibao|gjj|etc|bank|icbc|ccb|abc95|95588|10086|12306|police|gongan|rexian|hotline"
)
_BAIT = re.compile(
    "验证码|密码|银行卡|身份证号?|账户|账号|登录|登陆|认证|激活|领取|申领|补贴|退款|退费|冻结|中奖|点击|点开|点此|打开链接|链接|红包|逾期|停用|失效|过期|兑换|下载|安装|核实信息|更新信息|完善信息|年检|etc|赚|注册|投(?:个|一)?票|聚会|快看|你的照片|传票"
)


@dataclass(frozen=True, slots=True)
class Offer:
    """What makes a message an advertisement or bait."""

    rule: str
    score: float
    start: int
    end: int


@cache
def _words() -> tuple[AhoCorasick, list[tuple[str, int]]]:
    """All words with what they speak for, and how strongly."""
    found = {
        word: (subject, weight)
        for subject, by in SUBJECTS.items()
        for weight, words in by.items()
        for word in spellings(words)
    }
    found |= {word: ("against", weight) for weight, words in AGAINST.items() for word in spellings(words)}
    return AhoCorasick(list(found), matchkind=MatchKind.LeftmostLongest), list(found.values())


def offer(text: str) -> Offer | None:
    """Whether a levelled text advertises: by the different words of its strongest subject and how to answer them."""
    lookup, meanings = _words()
    sums, seen = dict[str, float](), dict[str, tuple[int, int]]()
    against, known = 0.0, set[int]()
    for word, start, end in lookup.find_matches_as_indexes(text[:_LONG]):
        if word in known:
            continue
        known.add(word)
        subject, weight = meanings[word]
        if subject == "against":
            against += weight
        else:
            sums[subject] = sums.get(subject, 0) + weight
            seen.setdefault(subject, (start, end))
    return _judged(text, sums, seen, against)


def _judged(text: str, sums: dict[str, float], seen: dict[str, tuple[int, int]], against: float) -> Offer | None:
    """The offer that the words of a text add up to, with how much it reads like one."""
    total = sum(sums.values()) - against - max(0, len(text) - _USUAL) / 15
    if total <= _HOPELESS:
        return None
    total += _answer(text[:_LONG])
    if total < _LEAST and len(text) > _USUAL:
        return None
    looks = advertised(text[:_LONG])
    clear = looks >= _CLEAR and _BRIEF <= len(text) <= _USUAL
    score = (total + _LOOKS * looks) / (2 * _ENOUGH)
    if not clear and score < _FAINT:
        return None
    best = max((one for one in sums if one != "offer"), key=lambda one: sums[one], default="offer")
    if sums.get(best, 0) < 5:
        best = "offer"
    where = seen.get(best, (0, len(text)))
    return Offer(f"conduct.spam.{best}", round(min(1.0, max(score, 0.6 * clear)), 3), *where)


def _answer(text: str) -> float:
    """How much a text tells of how to buy: numbers to call, prices, ways to be in touch; few words tell little."""
    score = 3.0 * bool(_PHONE.search(text)) + 3.0 * bool(_CONTACT.search(text)) + 4.0 * bool(_MASKED.search(text))
    score += min(6.0, 3.0 * len({one[0] for one in _MONEY.finditer(text)}))
    score += 2.0 * ("!" in text or "！" in text) + 2.0 * ("您" in text) + 2.0 * ("【" in text)
    return score - 4.0 * (len(text) < 20)


def link(text: str) -> Offer | None:
    """The worst link in a levelled text: short ones hide where they lead, others pose as the city's or ask for secrets."""
    if "." not in text:
        return None
    found = [one for place in _URL.finditer(text) if (one := _led(text, place))]
    return max(found, key=lambda one: one.score, default=None)


def _led(text: str, place: re.Match[str]) -> Offer | None:
    """Whether one link is a trap."""
    host, (start, end) = place[1], place.span()
    if _TRUSTED.search(host):
        return None
    near = text[max(0, start - 60) : end + 40]
    bait, complains = (
        len(set(_BAIT.findall(near))),
        any(
            word in text
            for word in (
                "诈骗",
                "骗",
                "举报",
                "投诉",
                "收到",
                "是真",
                "假冒",
                "钓鱼",
                "请问",
                "真假",
                "短信里",
                "不敢",
            )
        ),
    )
    named = place[0].startswith(("http", "www")) or bool(place[2])
    number = host.replace(".", "").isdigit()
    if number and not (named or place[0].count(":")):
        return None
    doubt = (
        0.35 * (host in _SHORTENERS)
        + 0.5 * number
        + 0.35 * (host.rsplit(".", 1)[-1] in _CHEAP)
        + 0.5 * bool(_POSES.search(host))
    )
    score = doubt + 0.25 * min(bait, 2) * (named or doubt > 0) - 0.9 * complains
    return Offer("conduct.link", round(min(1.0, score), 3), start, end) if score > 0.2 else None
