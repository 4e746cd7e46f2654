//! Made-up policy texts, one for each thing a policy may do, and nasty ones.

use divulge::model::{Action, DataForm, Declaration, Polarity, PolicyDocument, Role, StatementSource};
use divulge::policy::{self, Reader};
use divulge::rules::RuleSet;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

static RULES: LazyLock<RuleSet> = LazyLock::new(|| RuleSet::builtin().expect("the built-in rules load"));
static READER: LazyLock<Reader<'static>> = LazyLock::new(|| Reader::new(&RULES));

fn read(text: &str) -> PolicyDocument {
    READER.read(text).into_iter().next().expect("one document at least")
}

fn said(text: &str) -> Vec<String> {
    read(text).statements.iter().map(line).collect()
}

/// `first_party collect imei idfa`, a denial with `!`.
fn line(statement: &Declaration) -> String {
    let types: Vec<_> = statement.data.iter().map(|data| data.data_type.as_str()).collect();
    let not = if statement.polarity == Polarity::Negative { "!" } else { "" };
    let action = format!("{:?}", statement.action).to_lowercase();
    format!("{} {not}{action} {}", statement.recipient.id, types.join(" "))
}

#[test]
fn glued_identifiers_are_told_apart() {
    assert_eq!(
        said("我们会收集设备标识符(如IMEIIDFAIDFVAndroid IDMACOAIDIMSISNGAID)。"),
        ["first_party collect device_identifier imei idfa idfv android_id mac_address oaid imsi serial_number gaid"]
    );
    assert_eq!(
        said("我们会收集IDFVOAIDIMEIMEIDIMSI、SSIDBSSID和Android_ID。"),
        ["first_party collect idfv oaid imei meid imsi ssid bssid android_id"]
    );
}

#[test]
fn short_words_inside_others_are_not_taken() {
    assert_eq!(said("我们会收集您在SNS和JSON、macOS中的昵称。"), ["first_party collect nickname"]);
}

#[test]
fn a_denial_is_negative_and_keeps_its_exception() {
    let document = read("我们不会将您的个人信息共享给任何公司、组织和个人,但以下情况除外:");
    let statement = &document.statements[0];
    assert_eq!(line(statement), "third_party !share personal_information");
    assert!(statement.condition.as_deref().is_some_and(|condition| condition.contains("除外")));
    assert_eq!(said("未经您的同意,我们不会向第三方提供您的位置信息。"), ["third_party !share location"]);
    assert_eq!(said("除此之外,我们不会上传您的剪切板信息至服务器。"), ["first_party !collect clipboard"]);
}

#[test]
fn what_the_user_refuses_is_no_promise_of_ours() {
    for text in [
        "如您拒绝提供手机号码,您将无法使用服务。",
        "若您关闭定位权限,我们将不会收集您的位置信息。",
        "您可以随时修改、删除您的昵称、头像。",
    ] {
        assert_eq!(said(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn data_kept_in_a_form_only_is_denied_plainly() {
    let document = read("1.9 我们会对您的通讯录信息进行不可逆加密,并仅收集加密后的信息。");
    let forms: Vec<_> = document.statements.iter().map(|s| (s.polarity, s.form)).collect();
    assert!(forms.contains(&(Polarity::Negative, Some(DataForm::Plain))), "{forms:?}");
    assert!(forms.contains(&(Polarity::Positive, Some(DataForm::Hashed))), "{forms:?}");
}

#[test]
fn purposes_and_conditions_are_no_data() {
    let document = read("当您注册账号时,为防止IMEI被冒用,我们会收集您的手机号码,用于验证您的身份证。");
    let statement = &document.statements[0];
    assert_eq!(line(statement), "first_party collect phone_number");
    assert_eq!(statement.condition.as_deref(), Some("当您注册账号时"));
    assert!(statement.purpose.as_deref().is_some_and(|purpose| purpose.contains("防止")));
}

#[test]
fn named_sdks_act_for_themselves() {
    assert_eq!(said("征得您的同意,我们会通过Bugly SDK获取您的IMSI。"), ["bugly collect imsi"]);
    assert_eq!(
        said("终端制造商(华为、小米等)可能通过SDK等技术使用您的手机型号。"),
        ["huawei_push use device_model", "xiaomi_push use device_model"]
    );
    let document = read("对于利用com.tianqibao SDK技术所收集的您的IMEI,不会将这些信息存储在第三方提供的服务器上。");
    let lines: Vec<_> = document.statements.iter().map(line).collect();
    assert!(lines.contains(&"com_tianqibao collect imei".to_owned()), "{lines:?}");
    assert!(lines.contains(&"third_party !store imei".to_owned()), "{lines:?}");
}

#[test]
fn sharing_names_the_receiver() {
    assert_eq!(said("我们会将您的姓名、手机号码共享给合作渠道商。"), ["third_party share name phone_number"]);
    let document = read("我们会将您的聊天信息共享给文心一言(由北京百度网讯科技有限公司提供服务)进行分析。");
    assert_eq!(line(&document.statements[0]), "ernie share chat_messages");
    assert_eq!(document.statements[0].recipient.role, Role::ThirdParty);
}

#[test]
fn a_denial_does_not_join_the_list_before_it() {
    assert_eq!(
        said("我们会向广告合作伙伴提供您的设备型号,但不会提供您的姓名。"),
        ["third_party share device_model", "third_party !share name"]
    );
    assert_eq!(said("我们会收集您的IMEI,不得变更手机号码。"), ["first_party collect imei"]);
}

#[test]
fn what_a_list_leaves_out_is_not_in_it() {
    assert_eq!(
        said("我们会收集设备信息(不包括IMEI、MAC地址)和昵称。"),
        ["first_party collect device_information nickname"]
    );
    assert_eq!(said("我们会收集除IMEI以外的设备型号。"), ["first_party collect device_model"]);
    assert_eq!(
        said("我们会收集以下信息:\n(1)网络类型;\n(2)不包括您的短信内容。"),
        ["first_party collect network_type"]
    );
}

#[test]
fn joined_verbs_are_told_apart_by_who_gets_the_data() {
    assert_eq!(
        said("我们不会收集、存储、共享您的通讯录。"),
        ["first_party !collect contacts", "first_party !store contacts", "third_party !share contacts"]
    );
    assert_eq!(
        said("我们不收集、不存储您的指纹。"),
        ["first_party !collect fingerprint", "first_party !store fingerprint"]
    );
    assert_eq!(
        said("您的人脸信息仅在本地处理,不会上传至服务器。"),
        ["first_party !collect face"],
        "what was just said is not uploaded"
    );
    assert_eq!(said("我们确保未收集无关的个人信息。"), Vec::<String>::new());
}

#[test]
fn a_second_verb_shares_the_object_and_denial_of_the_first() {
    assert_eq!(
        said("我们不会将您的通讯录上传至服务器或分享给第三方。"),
        ["first_party !collect contacts", "third_party !share contacts"]
    );
    assert_eq!(said("我们禁止SDK收集您的IMSI。"), ["first_party !collect imsi"]);
}

#[test]
fn one_form_is_not_the_form_of_all() {
    let document = read("您需要向我们提供手机号码,我们仅收集加密后的身份证号。");
    let forms: Vec<_> =
        document.statements.iter().map(|s| (s.data[0].data_type.as_str(), s.polarity, s.form)).collect();
    assert_eq!(
        forms,
        [
            ("phone_number", Polarity::Positive, None),
            ("id_number", Polarity::Negative, Some(DataForm::Plain)),
            ("id_number", Polarity::Positive, Some(DataForm::Encrypted)),
        ]
    );
}

#[test]
fn sharing_after_consent_is_the_exception_of_a_denial() {
    let text = "我们不会向第三方共享您的手机号码,确有需要时我们会在征得您的同意后共享手机号码。";
    let document = read(text);
    let lines: Vec<_> = document.statements.iter().map(line).collect();
    assert_eq!(lines, ["third_party !share phone_number"]);
    assert!(document.statements[0].condition.as_deref().is_some_and(|condition| condition.contains("同意后共享")));
    assert_eq!(said("我们如存在共享您的个人信息的情形,会征得您的同意。"), Vec::<String>::new());
    assert_eq!(
        said("经您同意后,我们会向第三方共享您的手机号码。"),
        ["third_party share phone_number"],
        "without a denial it is a declaration"
    );
}

#[test]
fn a_limit_of_purpose_denies_other_use_only() {
    let document = read("我们会存储Cookie,但不会把Cookie用于登录以外的事。");
    let lines: Vec<_> = document.statements.iter().map(line).collect();
    assert_eq!(lines, ["first_party store cookie", "first_party !use cookie"]);
    assert!(document.statements[1].condition.as_deref().is_some_and(|condition| condition.contains("以外")));
}

#[test]
fn verbs_that_name_functions_share_nothing() {
    let lines = said("剪切板里有口令、分享等指令时,我们才会将其传给后台。");
    assert!(lines.iter().all(|line| !line.contains("third_party")), "{lines:?}");
    assert_eq!(said("我们会读取您的剪切板,以实现跳转、分享等功能。"), ["first_party collect clipboard"]);
}

#[test]
fn a_source_is_not_who_collects() {
    assert_eq!(said("我们可能从本公司的关联公司获取您的头像。"), ["first_party collect avatar"]);
    assert_eq!(said("我们会向第三方征信机构提供您的身份证号。"), ["third_party share id_number"]);
    let document = read("我们会向第三方征信机构提供您的身份证号。");
    assert_eq!(&*document.statements[0].recipient.name, "征信机构");
}

#[test]
fn words_about_the_policy_itself_declare_nothing() {
    for text in [
        "只有在您点击同意后,我们才会按照更新后的政策收集、使用您的个人信息。",
        "我们可能变更收集和使用个人信息的目的、范围。",
        "小纸条下线后,我们将停止继续收集您的个人信息。",
        "我们会转告从我们获得您的手机号码的商家。",
        "小纸条额外收集的个人信息,您可以收回授权。",
        "您可以发送邮件至a@a.example申请账户注销。",
        "尤其是当您主动提供信息或通过操作行为表示同意我们收集您的手机号码时,本政策生效。",
        "我们会在获取前向您说明昵称的来源。",
        "我们与其签订协议,要求其按照本政策处理您的手机号码。",
    ] {
        assert_eq!(said(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_browser_is_a_place_before_it_is_data() {
    assert_eq!(said("我们会在您的浏览器中存储Cookie。"), ["first_party store cookie"]);
    assert_eq!(
        said("我们会收集您的IP地址、浏览器和语言设置。"),
        ["first_party collect ip_address user_agent language"]
    );
}

#[test]
fn an_example_clause_may_name_whose_data_it_is() {
    let lines = said("我们可能记录相关信息,例如,您使用应用程序的频率、崩溃数据。");
    assert_eq!(lines, ["first_party collect usage_information crash_log"]);
}

#[test]
fn a_row_that_names_several_sdks_speaks_of_each() {
    let text = "| SDK名称 | 使用目的 | 个人信息 |\n| --- | --- | --- |\n| 华为推送、小米推送SDK | 推送消息 | OAID |\n| Bugly | 崩溃 | 不涉及 |\n";
    assert_eq!(
        rows(text),
        ["huawei_push collect oaid", "xiaomi_push collect oaid", "bugly !collect personal_information"]
    );
}

#[test]
fn lists_reach_over_lines() {
    let text = "一、我们收集的信息\n我们会收集以下信息:\n(1)设备信息:IMEI、MAC地址;\n(2)日志信息:IP地址。\n(3)我们会记录您的昵称。\n二、其他\n您的头像很好看。";
    let lines = said(text);
    let of = |kind: &str| lines.iter().any(|line| line.contains(kind));
    assert!(of("imei") && of("mac_address") && of("ip_address") && of("nickname"), "{lines:?}");
    assert!(!of("avatar"), "{lines:?}");
}

#[test]
fn an_example_sentence_goes_on_with_the_one_before() {
    let lines = said("我们会自动收集您的使用情况。例如IP地址、电信运营商及您访问的网页记录等。");
    assert_eq!(lines, ["first_party collect operation_log ip_address carrier browsing_history"]);
}

#[test]
fn definitions_rights_and_minors_declare_nothing() {
    for text in [
        "个人信息:指能够识别自然人身份的信息,如记录的姓名、身份证件号码。",
        "一、您的权利\n您有权访问我们收集的您的手机号码。我们会收集您的手机号码以核实。",
        "我们不会在未经监护人同意时收集未成年人的手机号码。",
        "1、从合法公开披露的信息中收集您的个人信息的,如合法的新闻报道;",
    ] {
        assert_eq!(said(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn open_lists_are_marked() {
    let document = read("我们会收集您的IMEI、OAID等信息,以及手机号码。");
    let open: Vec<_> = document.statements[0].data.iter().map(|data| data.open_ended).collect();
    assert_eq!(open, [true, true, false]);
}

#[test]
fn enumerations_make_the_texts_own_ontology() {
    let document = read("我们会收集您的设备信息(IMEI、手机号码)。");
    let edges: Vec<_> = document.local_ontology.iter().map(|edge| format!("{}>{}", edge.parent, edge.child)).collect();
    assert_eq!(edges, ["device_information>imei", "device_information>phone_number"]);
}

/// The rows of a table as `recipient types`.
fn rows(text: &str) -> Vec<String> {
    let document = read(text);
    assert!(document.statements.iter().all(|statement| statement.action == Action::Collect));
    let rows = document.statements.iter().filter(|statement| statement.source == StatementSource::Table);
    rows.map(line).collect()
}

const ROWS: [&str; 3] = [
    "jpush collect device_information imei mac_address",
    "bugly !collect personal_information",
    "天气宝 collect location",
];

#[test]
fn a_table_of_one_cell_a_line_is_read_though_cells_break() {
    let text = "附件\n序号\nSDK名称\n使用目的\n数据类型\n隐私政策链接\n1\n极光推送SDK\n推送消息\n设备信息(\nIMEI/MAC地址)\nhttps://a.example/1\n2\nBugly(com.tencent.bugly)\n排查崩溃\n不涉及收集用户的数据\nhttps://a.example/2\n3\n天气宝SDK\n天气\n位置信息\nhttps://a.example/3\n\n八、如何联系我们\n请致电。";
    assert_eq!(rows(text), ROWS);
}

#[test]
fn a_table_of_one_row_a_line_is_read_though_spans_are_dropped() {
    let text = "功能类型 使用目的 第三方名称 涉及个人信息 第三方链接\n推送 推送消息 极光推送 设备信息(IMEI、MAC地址) 官网\n隐私政策\nBugly 不涉及 官网\n隐私政策\n天气 看天气 天气宝SDK 1. 位置信息\n官网\n隐私政策\n四、如何保护\n";
    assert_eq!(rows(text), ROWS);
}

#[test]
fn markdown_tables_and_label_blocks_are_read() {
    let pipes = "| SDK名称 | 使用目的 | 个人信息 |\n| --- | --- | --- |\n| 极光推送 | 推送消息 | 设备信息(IMEI、MAC地址) |\n| Bugly | 崩溃 | 不涉及 |\n| 天气宝SDK | | 位置信息 |\n";
    assert_eq!(rows(pipes), ROWS);
    let blocks = "SDK名称：极光推送SDK\n使用目的：推送消息\n收集信息：设备信息(IMEI、MAC地址)\nSDK名称：Bugly\n收集信息：不涉及\nSDK名称：天气宝SDK\n使用目的：天气\n收集信息：位置信息\n";
    assert_eq!(rows(blocks), ROWS);
}

#[test]
fn a_reference_to_nowhere_is_a_defect() {
    let document = read("1.1 我们会收集您的IMEI,关闭方法见6.7。\n1.2 我们会收集您的昵称,见1.1。");
    let codes: Vec<_> =
        document.defects.iter().map(|defect| (defect.code.as_str(), defect.message.contains("6.7"))).collect();
    assert_eq!(codes, [("dangling-reference", true)]);
}

#[test]
fn english_is_read_too() {
    let lines = said("We collect your email address and IP address. We do not share your location with third parties.");
    assert_eq!(lines, ["first_party collect email ip_address", "third_party !share location"]);
}

#[test]
fn the_newest_version_is_picked_unless_one_is_named() {
    let body =
        "我们会收集您的手机号码。欢迎使用小纸条,本政策说明我们如何处理您的个人信息,请您仔细阅读本政策。\n".repeat(20);
    let page = format!("小纸条隐私政策\n生效日期:2024年2月1日\n{body}生效日期:2023年1月1日\n{body}");
    let documents = READER.read(&page);
    let date = |version| policy::pick(&documents, version).and_then(|document| document.effective_date.clone());
    assert_eq!(date(None).as_deref(), Some("2024-02-01"));
    assert_eq!(date(Some("2023-01-01")).as_deref(), Some("2023-01-01"));
    assert_eq!(date(Some("2020-01-01")), None);
}

#[test]
fn nasty_texts_take_time_in_proportion() {
    let many_rows: String =
        (0..10_000).map(|n| format!("极光{n}SDK\n推送\nIMEI、MAC地址\nhttps://a.example/{n}\n")).collect();
    let texts = [
        format!("我们会收集{}IMEI。", "，".repeat(300_000)),
        format!("我们会收集设备信息{}IMEI{}。", "(".repeat(200_000), ")".repeat(200_000)),
        format!("我们会收集设备信息{}。", "(IMEI".repeat(100_000)),
        format!("SDK名称\n使用目的\n数据类型\n隐私政策链接\n{many_rows}"),
        "SDK名称\n使用目的\n数据类型\n".repeat(20_000),
        "隐私政策\n".repeat(50_000),
        format!("我们会收集{}IMEI。", "收集使用共享".repeat(50_000)),
        "一、标题\n(一)标题\n".repeat(30_000),
        "1.1 我们会收集您的IMEI\n".repeat(20_000),
        "SDK名称：甲SDK\n".repeat(20_000),
        "我们收集以下信息：\n".repeat(20_000),
        "设备信息包括".repeat(50_000),
    ];
    for text in texts {
        let started = Instant::now();
        let documents = READER.read(&text);
        assert!(!documents.is_empty());
        // Debug builds on a busy machine; a quadratic reader needs minutes.
        assert!(started.elapsed() < Duration::from_secs(30), "{} bytes: {:?}", text.len(), started.elapsed());
    }
}

#[test]
fn odd_texts_are_read_without_panic() {
    let seed =
        "附件\nSDK名称\n使用目的\n数据类型\n1.1 我们(不会)收集IMEI、MAC地址(包括OAID等);除外。|表|格|\n第一部分 定义\n";
    let chars: Vec<char> = seed.chars().collect();
    let mut state = 7_u64;
    for _ in 0..300 {
        let text: String = (0..chars.len())
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                chars[(state >> 33) as usize % chars.len()]
            })
            .collect();
        for document in READER.read(&text) {
            assert!(document.span.1 <= chars.len());
        }
    }
}
