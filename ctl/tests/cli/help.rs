//! The whole reference in one snapshot.

use tvtfleet_proto::error::ExitStatus;

use crate::sandbox::Sandbox;

/// Every command, as its words; found by reading the help texts themselves.
async fn commands(sandbox: &Sandbox) -> Vec<Vec<String>> {
    let mut found = vec![Vec::new()];
    let mut next = 0;
    while let Some(words) = found.get(next).cloned() {
        next += 1;
        let help = help_of(sandbox, &words).await;
        let section = help.split("\nCommands:\n").nth(1).unwrap_or_default();
        for line in section.lines().take_while(|line| !line.is_empty()) {
            if let Some(name) = line
                .strip_prefix("  ")
                .filter(|line| !line.starts_with(' '))
            {
                let name = name.split_whitespace().next().unwrap().to_owned();
                found.push(words.iter().cloned().chain([name]).collect());
            }
        }
    }
    found
}

async fn help_of(sandbox: &Sandbox, words: &[String]) -> String {
    let arguments: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
    let finished = sandbox.run(&arguments).await;
    assert_eq!(finished.status, ExitStatus::Success, "{words:?}");
    assert_eq!(finished.stderr, "", "{words:?}");
    finished.stdout
}

#[tokio::test]
async fn the_reference() {
    let sandbox = Sandbox::new();
    let mut reference = String::new();
    for words in commands(&sandbox).await {
        let title = ["tvtctl".to_owned()]
            .into_iter()
            .chain(words.clone())
            .collect::<Vec<_>>();
        reference.push_str(&format!("===== {} =====\n", title.join(" ")));
        reference.push_str(&help_of(&sandbox, &words).await);
        reference.push('\n');
    }
    insta::assert_snapshot!(reference);
}

#[tokio::test]
async fn every_command_says_what_it_does_and_shows_an_example() {
    let sandbox = Sandbox::new();
    for words in commands(&sandbox).await {
        let help = help_of(&sandbox, &words).await;
        let first = help.lines().next().unwrap();
        assert!(
            !first.ends_with('.') && first.starts_with(char::is_uppercase),
            "{words:?}: {first}"
        );
        if !help.contains("\nCommands:\n") {
            assert!(help.contains("Example"), "{words:?} has no example");
        }
        assert!(
            help.lines().all(|line| line.chars().count() <= 100),
            "{words:?} is too wide"
        );
    }
}

#[tokio::test]
async fn manual_pages_and_completions_come_from_the_parser() {
    let sandbox = Sandbox::new();
    let finished = sandbox.run(&["man", "pages"]).await;
    assert_eq!(finished.status, ExitStatus::Success, "{}", finished.stderr);
    let pages = std::fs::read_dir(sandbox.path("pages")).unwrap().count();
    assert_eq!(pages, commands(&sandbox).await.len());
    assert!(
        sandbox
            .read("pages/tvtctl-jobs-wait.1")
            .contains("tvtctl\\-jobs\\-wait")
    );
    for shell in ["bash", "zsh", "fish"] {
        let finished = sandbox.run(&["completions", shell]).await;
        assert_eq!(finished.status, ExitStatus::Success);
        assert!(finished.stdout.contains("completions"), "{shell}");
    }
}
