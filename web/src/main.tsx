// SPDX-License-Identifier: MIT
import { render } from 'preact';
import { start } from './store/chat';
import { flushDrafts } from './store/drafts';
import { applyTheme } from './store/theme';
import { language } from './strings';
import { App } from './ui/app';

document.documentElement.lang = language;
addEventListener('pagehide', flushDrafts);
applyTheme();
start();
render(<App />, document.getElementById('app')!);
