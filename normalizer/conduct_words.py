"""Words of abuse, as they are and as they are disguised by sound: in folded form, alternatives in square brackets."""

from __future__ import annotations

import re
from itertools import product

#: Obscene or deadly to the reader by their own form: curses of his mother, his family, his ancestors.
OBSCENE = (
    "[操草艹肏屮曹槽糙日曰干靠淦戳叼]你们?[妈麻马吗母娘] [操草艹肏日干]你们?[大祖全八先老][爷宗人家辈代] [操草艹肏日]拟[妈马吗] [操草艹曹日]尼[玛马妈] "
    "[操草艹日][泥尼拟][马玛妈] 干[拎林恁拟]娘 日恁[娘妈] [你尼泥]妈死 [你尼泥]妈[炸飞凉]了 [你尼泥][马玛]死了? 你[吗马]炸了 你母亲死了 死全[家佳] "
    "死你全家 [司s]全家 你全家死 你们全家死 全家暴毙 nmsl cnm cnmb nmb wcnm wcnmd rnm rnmb caonima caonm nimasile nmlgb [草操]你m [草操]nm 你妈了个[逼比b] "
    "你[妈马吗麻][逼比b币屄批] [滚去]你[妈吗马娘] [屌丢吊叼]你老?[母味妈] 冚家[铲富] 日你[先仙][人妈] 日你妈 [妈麻马][卖买][批皮比] 入你[娘妈] [操草]死你 [操草]翻你 透你[妈娘] "
    "死[妈马]的?玩意 死妈的 没[妈娘]的东西 [操草艹日去]你们?[八十]八?[辈代] [操草艹日去]你们祖宗 你[麻妈马]痹 cao你[妈m吗] 去你[大二]爷 你奶奶个腿 你[妈娘爹]怎么生 你[妈娘爹]没教你 火葬场的东西 你没[妈马]吗? 你个死[妈马] [日操草干]死你 你司马 你们司马 司马玩意 司马东西 司马了吧"
)
#: Slurs: they insult whomever they are said of.
SLURS = (
    "傻[逼比笔币必毕毙屄b碧叉x屌吊批缺狗] 傻bi 傻哔 煞[逼比笔币必毕b] 沙[逼笔] 杀[笔币] 啥逼 [莎鲨]逼 鲨笔 sha[逼比b] shabi [王忘亡]八[蛋旦羔犊] 乌龟王八 野种 孽种 孽畜 鸟人 [屌吊]毛 逼玩意 逼东西 什么逼 贱婢 狗屎东西 短命鬼 丧门星 王ba[蛋d] 缩头乌龟 老逼登 臭娘们 丫挺 小赤佬 册那 狗男女 贱骨头 傻不拉几 "
    "狗[日曰] 狗[东冬咚][西茜] 狗d西 [狗苟]杂[种碎]? 狗娘养 狗[逼比b] 狗崽子 杂[种碎] 砸种 杂z [畜蓄][生牲] 禽兽不如 猪狗不如 婊[子砸] biao子 臭婊 "
    "贱[人货逼b婊种胚] 贱骨头 骚货 脑[残惨] 脑can nao残 zz东西 狗官 狗腿子 狗奴才 [老小臭烂破蠢穷死大二]逼 老不死的 龟[儿孙] 瓜[皮批] 哈麻?批 憨[批逼比] [仆扑]街 宝批龙 "
    "[瘪鳖憋]犊子 兔崽子 小[逼b]?崽子 混[账帐]东西 混[蛋旦] 人渣 丧家之?犬 臭傻 死肥猪 下贱 下三滥 衣冠禽兽 傻波[一1] 勾八"
)
#: Harsh nouns that insult only when said to the reader's face: 你们这群废物.
NAMES = (
    "废[物柴] 费物 废w fei物 废wu feiwu 饭桶 蠢[货猪驴材蛋] 白[痴吃] 弱智 低能 败类 走狗 猪[脑头狗] 神经病 变态 人妖 草包 [死一][猪狗] 流氓 [傻孙][子瓜] 窝囊废 垃圾 "
    "拉[基鸡级圾] 辣鸡 [智制治]障 残废 聋子 哑巴 瞎子 狗 猪 畜 不是人 不是东西 什么东西 什么玩意 sb 2b 2[逼货] 二货 s13 low货 寄生虫 蛆 蟑螂 王八 沙雕 傻 人渣 吸血鬼 狗腿 奴才 烂人 泼妇 二百五 一坨屎 猴子"
)
#: Orders to vanish or to die.
ORDERS = "去死 去4 脑壳 眼瞎 眼睛 耳朵 没脑子 没长 投胎 有娘生 有妈生 有人生 没家教 妖婆 巫婆 三八 八婆 母狗 孬种 怂货 怂包 怂逼 软蛋 癞皮狗 狗嘴 放你 不要脸 死了没 狗仗人势 长大的 配吃 傻玩意 屎 生你 猪脑 丑八怪 嘴巴 欠抽 欠揍 都死了 不如 烂人 粪 蛆 虫 驴 投胎 人养 好东西 滚回 茅坑 蠢到 畜 逼脸 逼样 吃屎长大 喂猪 被驴踢 被门夹 狗眼 没教养 说人话 有病 算老几 狗都 养条狗 养狗 脑子 脑袋 活着浪费 做鸡 干鸡 不如狗 狗不如 对牛弹琴 喷粪 装的是屎 qu死 找死 早点死 死远 死了算 滚 吃[屎翔] 喂狗 撒泡尿 闭嘴 放屁 放狗屁 死绝 死光"
#: Curses on the reader's life and kin.
CURSES = (
    "不得好死 断子[绝觉决]孙 没屁眼 绝[种后] 天打[雷五] 千刀万剐 下地狱 下十八层 死无葬身 车撞死 暴毙 得癌 生儿子没 短命 家破人亡 五雷轰 祖坟 早死早 早点死 遭雷 "
    "雷劈 死[爹娘] 不得善终 全家死 全家遭 全家得 全家都死 死光 死绝"
)
#: Oaths aimed at nobody.
OATHS = "[他她]妈的? 特么 tmd 妈的 妈了个 [卧我][操草艹槽靠] 尼玛 [鸡几]巴 狗屁 [操草艹]蛋"
#: Where harassment may stand.
ADVANCES = "声音 嗓子 睡你 睡觉 约吗 约炮 约一约 多少钱一 内裤 内衣 胸罩 丝袜 裸 罩杯 开房 上床 奶子 做爱 一夜情 操你 艹你 上你 摸你 干你 亲你 过夜 玩玩 舔 私密照 性感 胸多大 屁股"
#: What may begin or carry a threat; whether it is one, a rule reads.
TRIGGERS = (
    "[弄整搞砍捅打揍杀撞勒掐毒烧炸玩干吊踹劈崩毙咬锤扇抽捶活]死 [弄整搞打]残 砍 捅 杀 宰了 宰你 剁 灭[了你] 做[掉了]你? 干掉 废[了掉]你? 烧[了你掉光] 炸 崩了 毙了 [打砸敲拧]断 活埋 "
    "收拾 办了你 刀了 血洗 踏平 砸 揍 扇你 抽[你死] 撕[了你烂碎] 剥了 扒了 泼 浇 放火 点火 点了 放血 血债 偿命 陪葬 垫背 同归于尽 拼命 拼了 玩命 小心 当心 等着 走着瞧 "
    "[查找打认记]到你 知道你 认识你 人肉 [堵蹲守等]你 [堵蹲守]在 放过 饶不了 狗命 小命 你的?命 你们的?命 死定 死期 活不 见不到 看不到 别想 休想 碰到你 碰见你 遇到你 逮到你 死一个 一起死 一块死 别活 想活 骨灰盒 寿衣 扔下 推下 推平 铲平 掀了 下手 分分钟 血流 见识 跑不了 跑不掉 逃不掉 逃不了 睡太死 一清二楚 底细 扒皮 抽筋 脚筋 开瓢 开膛 捏死 踩死 喂鱼 沉江 毁容 轮椅 残废 瘫痪 你死我活 玉石俱焚 鱼死 好受 尝尝 拳头 巴掌 踹 亡命 坐过牢 大不了 记住你 弄她 弄他 玩完 上路 棺 坟 抵命 报仇 算账 送命 要死 一锅端 亲手 后悔 丧事 白事 披麻 代价 不敢动 动你 家门 死得 下半辈子 后半辈子 下半生 精神病 点天灯 索命 赔命 炸弹 煤气 豁出去 厉害 饶了 饶你 死你 死谁 死哪 敲碎 打碎 割开 喉咙 骨头 榔头 锄头 镰刀 胳膊 抱着 楼顶 不止一条 放你 让谁 打得 打到 弄不死 跪着 爬着 活着 血流 劈了 斩 割了 卸 划花 枪毙 送走 送上天 送去见 刹车 少腿 打折 打一顿 揪出来 点着 油桶 家伙 铁锹 拍死 锤死 换你 给命 洗干净脖子 埋了 保镖 少一个 让车 去你家 到你家 没完 人我都 的路上 睡觉 会会 跟踪 绑 见阎王 没命 收尸 棺材 花圈 送终 白刀子 见血 消失 "
    "刀 斧 炸药 汽油 硫酸 雷管 煤气罐 棍 锤 枪 找人 喊人 叫人 雇人 兄弟 [撞轧碾]你 血溅 好看 好过 夜路 下班 灵堂 末日 横尸 脖子 弄你 教训 命来 偿命 不客气 开车 你们?家[孩儿女老人的] 你们?孩子 "
    "你们?老婆 你们?儿子 你们?女儿 你们?全家 你们?家人 一把火 动手 爆头 [打揍]你 脑袋 人头 人命 出门 灭门 死人 横着 躺着 碎尸 [断剁][手腿] 你们?[的]?[腿手] 踢烂 打爆"
)

_PART = re.compile(r"\[([^\]]*)\](\??)|(.)(\??)")


def spelt(pattern: str) -> set[str]:
    """Every spelling of a pattern: 傻[逼比] is 傻逼 and 傻比; a question mark makes what stands before it optional."""
    parts = [[*(one[1] or one[3]), *([""] if one[2] or one[4] else [])] for one in _PART.finditer(pattern)]
    return {"".join(signs) for signs in product(*parts)}


def spellings(patterns: str) -> frozenset[str]:
    """Every spelling of patterns that stand apart by spaces; single ones count as they are."""
    return frozenset(word for pattern in patterns.split() for word in spelt(pattern) if word)
