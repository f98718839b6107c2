"""Word lists of compression: what may go, what must stay, what makes a sentence matter.

English and Chinese. Compression has lists of its own because it must be more careful than
search: a negation or a modal verb means little to an index and everything to a reader.
"""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CJK = (
    "\u3005-\u3007\u3041-\u30ff\u3105-\u312f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
"""A character class (without brackets) of Han, kana and Hangul."""

# Dropped from telegraphic text. Not here, because they change what is said: negations,
# modal verbs, conditions, comparisons, quantities, the second and third person, "from".
STOP = _words(
    """
    a an the this that these those there here i me we us it its itself my mine our ours myself
    ourselves yourself am is are was were be been being do does did doing have has had having
    of to in on at for with by as into onto upon and so then too also just very really quite
    such some own what which who whom how
    i'm i've i'd it's that's there's here's we're we've we'd they've you've you're he's
    she's what's who's let's how's im ive its is's
    """
)
INTERJECTIONS = _words(
    "hey hi hello hiya yo wow whoa aww aw yay haha hahaha lol oh ah um uh hmm yeah yep yup"
)
# Talk about the talk, and praise: said in every conversation, asked about in none.
LIGHT = _words(
    """
    yes ok okay sure right well absolutely definitely totally exactly actually basically
    literally honestly seriously certainly obviously truly super pretty thanks thank thx
    cheers congrats congratulations bye goodbye glad awesome amazing incredible fantastic
    wonderful great good nice cool sweet lovely sounds sound please sorry welcome everything
    something anything lot lots bit kind sort thing things stuff way much many even still
    back up out keep going go get got getting gonna wanna see seeing
    know think guess say said tell hear heard come look looks looking let take taking feel
    feels feeling always another around about though cause cuz cos hope wish inspiring
    inspired
    """
)
NEGATION = _words(
    """
    no not never none nobody nothing nowhere neither nor without cannot cant wont dont didnt
    doesnt isnt wasnt arent couldnt wouldnt shouldnt hardly stop stopped quit cancel cancelled
    canceled refuse refused except instead unless
    """
)
TIME = _words(
    """
    today yesterday tomorrow tonight morning afternoon evening night noon midnight weekend
    weekday week weeks month months year years day days hour hours minute minutes decade
    decades ago last next before after until since during recently soon now later early
    earlier first once twice daily weekly monthly yearly annual summer winter spring fall
    autumn january february march april june july august september october november
    december monday tuesday wednesday thursday friday saturday sunday jan feb apr jun jul aug
    sept sep oct nov dec am pm christmas easter thanksgiving halloween birthday anniversary
    """
)
DECISION = _words(
    """
    will shall must should would could might may need needs needed want wants wanted plan
    plans planned planning decide decided decision prefer prefers preferred favorite favourite
    love loves loved hate hates hated enjoy enjoys enjoyed promise promised agree agreed
    deadline goal dream allergic always only i'll we'll he'll she'll they'll you'll chose choose
    chosen bought buy started start joined moved because if
    """
)
FIRST_PERSON = _words("i i'm i've i'd i'll me my mine we we're we've we'll our us myself im ive")
SECOND_PERSON = _words("you your you're you've you'll yours yourself ya u")
GREETING = INTERJECTIONS | _words(
    """
    thanks thank thx congrats congratulations bye goodbye cheers glad awesome amazing welcome
    sorry sounds cool sure absolutely ok okay great nice
    """
)
CHINESE_TIME = re.compile(
    r"今[天年晚早]|昨[天晚]|明[天年早晚]|前[天年]|后[天年]|去年|上[周个次]|下[周个次]|周[一二三四五六日末]|"
    r"星期|礼拜|早上|上午|中午|下午|晚上|凌晨|[年月日号点]|小时|分钟|节|生日|最近|以前|以后|之前|之后|刚才"
)
CHINESE_NEGATION = re.compile("不|没|无|别|未|勿|非|莫|拒绝|取消|停止|禁止|除了")
CHINESE_DECISION = re.compile(
    "决定|打算|计划|必须|应该|需要|想要|要求|喜欢|讨厌|答应|同意|保证|希望|目标|最爱|过敏|偏好|一定|因为|如果|截止"
)
CHINESE_FIRST = re.compile("[我俺咱]")
CHINESE_SECOND = re.compile("[你您]")
CHINESE_GREETING = re.compile(
    "你好|您好|大家好|嗨|哈喽|谢谢|多谢|感谢|不客气|再见|拜拜|没关系|哈哈|太棒了|真棒|加油|恭喜|好的|当然|没问题|对不起|抱歉|早安|晚安|太好了|嗯|哇"
)
CHINESE_LIGHT = _words(
    """
    可以 觉得 感觉 一定 肯定 大家 我们 你们 他们 一起 一个 一些 没有 这样 那样 起来 真的 非常
    特别 知道 时候 什么 怎么 这个 那个 开心 高兴 很好 不错 有趣 厉害 加油 应该 可能 还是 已经
    """
)
# A pair of Han characters with one of these is no content word.
CHINESE_EMPTY = frozenset(
    "的了着过吧啊呢吗呀嘛哦哈啦哇嗯喔噢唉哎是在有和与就都也还又很太这那你我他她它们个不把被给让"
    "到从什么怎得之而且但或"
)
